"""Texts come through `predict` as they are, in every encoding and format, with whatever line ends.

The model alone is left out: files are read, rows put in order and lines written as ever.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from gathering import bound, rows
from support import write_rows
from texts import AWKWARD
from welltuned.artifact.predictor import Predictor
from welltuned.data.config import DataConfig
from welltuned.data.records import Records
from welltuned.deployment.answer_file.rows import json_line


class Echo(Predictor):
    """Says the same of every text."""

    def answer(self, records: Records, batch_size: int = 64) -> list[Any]:
        return [{"id": records.id(i), "prediction": "a"} for i in range(len(records))]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Echo:
    few = rows(*(f"text {i}" for i in range(20)))
    _, problem = bound(write_rows(tmp_path_factory.mktemp("few") / "a.jsonl", few))
    manifest = SimpleNamespace(inputs=("text",), columns={"text": "text", "label": "label"})
    artifact: Any = SimpleNamespace(problem=problem, manifest=manifest)
    return Echo(artifact)


def as_csv(texts: Sequence[str], end: str) -> str:
    held = io.StringIO(newline="")
    writer = csv.writer(held, quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writerows([["text", "label"], *([text, "a"] for text in texts)])
    return held.getvalue()


def as_tsv(texts: Sequence[str], end: str) -> str:
    return end.join(["text\tlabel", *(f"{text}\ta" for text in texts), ""])


def as_json_lines(texts: Sequence[str], end: str) -> str:
    lines = (json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    return end.join([*lines, ""])


def as_array(texts: Sequence[str], end: str) -> str:
    return json.dumps([{"text": text} for text in texts], ensure_ascii=False, indent=1).replace(
        "\n", end
    )


def as_lines(texts: Sequence[str], end: str) -> str:
    return end.join([*texts, ""])


WRITERS: dict[str, tuple[Callable[[Sequence[str], str], str], str]] = {
    "csv": (as_csv, "\0"),
    "tsv": (as_tsv, "\t\r\n"),
    "jsonl": (as_json_lines, ""),
    "json": (as_array, ""),
    "txt": (as_lines, "\r\n"),
}
"""How texts are written in each format, and the characters that it cannot hold."""
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "gb18030")
ENDS = ("\n", "\r\n", "\r")
MORE = (
    "\x00",
    "\x1a",
    "\ufdd0",
    "\uffff",
    "\U0010ffff",
    "\U0001f3f3\ufe0f\u200d\U0001f308",
    "\u200f",
    "שלום",
)
odd_texts = some.lists(
    some.lists(
        some.sampled_from((*AWKWARD, *MORE)) | some.text(max_size=3), min_size=1, max_size=6
    ).map("".join),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize("kind", WRITERS)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=odd_texts, encoding=some.sampled_from(ENCODINGS), end=some.sampled_from(ENDS))
@example(texts=["\ufeff a"], encoding="utf-8", end="\n")
@example(texts=["a\rb", "c"], encoding="utf-16", end="\r\n")
def test_every_text_comes_back_as_it_is(
    kind: str, texts: list[str], encoding: str, end: str, echo: Echo
) -> None:
    write, barred = WRITERS[kind]
    kept = [
        text for one in texts if (text := one.translate(dict.fromkeys(map(ord, barred)))).strip()
    ]
    texts = ["first", *kept]  # a mark of byte order is text behind it alone
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"texts.{kind}"
        file.write_bytes(write(texts, end).encode(encoding))
        data = DataConfig(train=str(file), encoding=encoding, header=True)
        answered = list(echo.answer_file(str(file), data=data))
    written = "".join(json_line({"text": text, **row}) + "\n" for text, row in answered)
    assert [
        json.loads(line)["text"] for line in written.encode().decode().split("\n")[:-1]
    ] == texts
