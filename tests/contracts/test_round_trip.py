"""Texts and labels come through whole: read, split, trained on, predicted, written, read again."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as some

import welltuned as wt
from support import short_tune
from texts import texts
from welltuned.data.overlap.duplicates import normalise
from welltuned.tasks.classification.spellings import fold_spelling

Rows = list[dict[str, str]]


def write_csv(folder: Path, rows: Rows) -> Path:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        # The module leaves a bare carriage return without quotation marks.
        writer = csv.DictWriter(file, ["text", "label"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return folder / "rows.csv"


def write_jsonl(folder: Path, rows: Rows) -> Path:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_bytes(lines.encode())
    return folder / "rows.jsonl"


distinct = some.lists(texts, min_size=12, max_size=12, unique_by=normalise)
two_labels = some.lists(texts.map(lambda text: text[:20] + "!"), min_size=2, max_size=2)


@pytest.mark.parametrize("write", [write_csv, write_jsonl])
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # each is a run: looking for a smaller one takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(odd=distinct, labels=two_labels)
def test_odd_texts_and_labels_come_through_whole(
    write: Callable[[Path, Rows], Path], tiny: Any, odd: list[str], labels: list[str]
) -> None:
    one, other = (normalize("NFC", label.strip()) for label in labels)  # as labels are compared
    assume(fold_spelling(one) != fold_spelling(other) and not set("|;,\n\r") & {*one, *other})
    plain = [
        f"plain text number {word}"
        for word in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
    ]
    rows = [{"text": text, "label": (one, other)[i % 2]} for i, text in enumerate([*odd, *plain])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write(folder, rows)
        data = (
            {"train": str(file), "encoding": "utf-8", "header": True}
            if write is write_csv
            else str(file)
        )
        run = short_tune(
            tiny("bert"), data, "full", folder / "run", task={"problem": "single_label"}
        )
        facts = run.read("data.json")
        assert sum(split["rows"] for split in facts["splits"].values()) == len(rows)
        assert set(facts["task"]["labels"]) == {one, other}
        tested = {row["text"]: row["label"] for row in run.read_lines("predictions.jsonl")}
        assert tested.items() <= {row["text"]: row["label"] for row in rows}.items()
        answers = wt.load(run).predict([row["text"] for row in rows])
        assert [answer["id"] for answer in answers] == [f"texts:{i + 1}" for i in range(len(rows))]
        (folder / "answers.jsonl").write_text(
            "".join(json.dumps(answer) + "\n" for answer in answers), encoding="utf-8"
        )
        again = [
            json.loads(line)
            for line in (folder / "answers.jsonl").read_text("utf-8").split("\n")
            if line
        ]
        assert again == answers
        assert {answer["prediction"] for answer in answers} <= {one, other}
