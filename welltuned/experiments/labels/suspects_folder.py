"""The folder of labels to check: a JSON file, a report, and a table that a person corrects."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from welltuned.data.overlap.duplicates import normalise
from welltuned.data.overlap.near_duplicates import near_duplicates
from welltuned.evaluation.label_check import shown_inputs
from welltuned.experiments.labels.tables import write_table
from welltuned.metrics import Row
from welltuned.reports.suspects import write_suspects_report
from welltuned.runs.folder import write_json
from welltuned.runs.suspects_schema import (
    Label,
    NearTwin,
    Suspect,
    SuspectsFile,
    TwinPair,
    stamped,
)

SUSPECTS_CSV = "suspects.csv"
_FIRST = ("id", "label", "suggested", "probability", "near_duplicate")


def write_suspects(folder: Path, found: SuspectsFile, written: Mapping[str, str]) -> None:
    """Write what was found. `written`: each label's name as it is written in the data."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "suspects.json", stamped(found))
    write_table(folder / SUSPECTS_CSV, list(table_rows(found, written)), _FIRST)
    write_suspects_report(folder)


def command_to_correct(words: Sequence[str], before: Sequence[str], folder: Path, name: str) -> str:
    """The command that trains on the labels of a folder, once corrected, into a run of its own.

    `words` are those of the run that they are for, and `before` what has been corrected already.
    """
    table = str(folder / SUSPECTS_CSV)
    files = f"[{', '.join([*before, table])}]" if before else table
    corrected = [f"data.corrections={files}", f"output_dir=runs/{name}-corrected"]
    return shlex.join([*words, *corrected])


def table_rows(found: SuspectsFile, written: Mapping[str, str]) -> Iterator[dict[str, object]]:
    """The rows to correct: suspects, and then near-duplicates that are none."""
    near: dict[str, str] = {}
    alone: dict[str, NearTwin] = {}
    for pair in found["near_duplicates"]:
        for twin, other in ((pair["one"], pair["other"]), (pair["other"], pair["one"])):
            near.setdefault(twin["id"], other["id"])
            alone.setdefault(twin["id"], twin)
    for suspect in found["suspects"]:
        alone.pop(suspect["id"], None)
        suggested = as_cell(suspect["suggested"], written)
        more = {"suggested": suggested, "probability": suspect["probability"]}
        yield {**_row(suspect, near, written), **more, **suspect["inputs"]}
    for twin in alone.values():
        yield {**_row(twin, near, written), **twin["inputs"]}


def _row(
    one: Suspect | NearTwin, near: Mapping[str, str], written: Mapping[str, str]
) -> dict[str, object]:
    label = as_cell(one["label"], written)
    return {"id": one["id"], "label": label, "near_duplicate": near.get(one["id"], "")}


def as_cell(label: Label, written: Mapping[str, str]) -> str:
    """A label as it is written in the data; several as a list."""
    if isinstance(label, str):
        return written.get(label, label)
    return json.dumps([written.get(one, one) for one in label], ensure_ascii=False)


# --- Near-duplicates ---------------------------------------------------------------


def twins_among(rows: Sequence[Row], compare_as: str) -> list[TwinPair]:
    """Near-duplicates that bear different labels, the most alike first."""
    texts = [
        "\n".join(normalise(text, compare_as) for text in shown_inputs(row).values())
        for row in rows
    ]
    labels = [as_cell(row["label"], {}) for row in rows]
    return [
        {
            "one": _twin(rows[pair.one]),
            "other": _twin(rows[pair.other]),
            "similarity": round(pair.similarity, 4),
        }
        for pair in near_duplicates(texts, labels)
    ]


def _twin(row: Row) -> NearTwin:
    return {"id": row["id"], "label": row["label"], "inputs": shown_inputs(row)}
