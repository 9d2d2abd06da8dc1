"""Answers: one row an input, also where there is no answer to give, and the count of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.data.facts import DataFacts, some_lines
from welltuned.data.overlap.trained_on import TRAINED_ON, count_trained_on
from welltuned.data.records import Records
from welltuned.errors import Fault, Place, RunFailed
from welltuned.schema.messages import Message, message
from welltuned.tasks import Examples

Row = Mapping[str, Any]
"""`id` and `prediction`, and what else the task tells. Where nothing could be answered the
prediction is None, with its `reason` and the `code` of that. `cut` is true where an input is too
long to be read whole, and `abstained` where the model is not sure enough to answer."""

EMPTY = "predict.text_empty"
ABSTAINED = "predict.abstained"
_COUNTED = {EMPTY: "empty", ABSTAINED: "abstained"}
"""What rows without an answer are counted as, by code; others could not be read."""


def empty_row(id: str, roles: list[str]) -> Row:
    """Of an input without a text, which has no answer."""
    reason = f"the {' and the '.join(roles)} is empty"
    return {"id": id, "prediction": None, "reason": reason, "code": EMPTY}


def refused_row(fault: Fault) -> Row:
    """Of an input that could not be read."""
    place = fault.place or Place("texts")
    reason = f"{fault.what} -> {fault.remedy}" if fault.remedy else fault.what
    line = Place(place.source, place.line)
    return {"id": str(line), "prediction": None, "reason": reason, "code": fault.code}


def withheld_row(row: Row) -> Row:
    """An answer that the model is not sure enough of, as none; its probabilities stay."""
    if not row.get("abstained"):
        return row
    surest = max(row["probabilities"].values())
    reason = f"the model is not sure enough: {surest:.1%} for the likeliest label"
    return {**row, "prediction": None, "reason": reason, "code": ABSTAINED}


def require_finite_outputs(outputs_NK: np.ndarray, records: Records) -> None:
    """Raise `RunFailed` where outputs are no numbers, of which no answer can be made."""
    broken = np.flatnonzero(~np.isfinite(outputs_NK).reshape(len(outputs_NK), -1).all(axis=1))
    if broken.size:
        raise RunFailed(
            Fault(
                "predict.output_not_finite",
                "the model's output is not finite for {number:,} of {total:,} inputs",
                records.place(int(broken[0])),
                "its weights or its precision do not carry it: train again with a lower "
                "training.learning_rate, or in training.precision=fp32",
                number=int(broken.size),
                total=len(records),
            )
        )


@dataclass
class Tally:
    """Answers counted as they go by."""

    rows: int = 0
    answered: int = 0
    empty: int = 0
    abstained: int = 0
    unreadable: int = 0
    cut: int = 0
    notes: list[str] = field(default_factory=list)
    """What is told of a file besides."""
    ids: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """Of rows without an answer and of those cut, by what they are counted as."""

    def add(self, row: Row) -> None:
        self.rows += 1
        if row["prediction"] is not None or "code" not in row:
            self.answered += 1
        else:
            self._count(_COUNTED.get(row["code"], "unreadable"), row)
        if row.get("cut"):
            self._count("cut", row)

    def _count(self, kind: str, row: Row) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        self.ids.setdefault(kind, []).append(row["id"])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def line(self) -> str:
        """All that is counted on one line; empty where each input was read whole and answered."""
        words = {
            "empty": "empty",
            "abstained": "left open, for the model is not sure enough",
            "unreadable": "not readable",
            "cut": "cut, for they are long",
        }
        told = [f"{len(ids):,} {words[kind]} ({some_lines(ids)})" for kind, ids in self.ids.items()]
        return "; ".join([f"answered {self.answered:,} of {self.rows:,}", *told]) if told else ""


# --- Rows that are scored ---------------------------------------------------------


def scored_rows(
    records: Records, examples: Examples, facts: DataFacts, run_folder: Path | None
) -> dict[str, Any]:
    """How many rows of a labelled file were scored, and what is to be known of the others."""
    empty, cut = facts.splits["file"].empty, int(examples.cut.sum())
    scored = len(set(examples.records.lines))
    trained_on = None if run_folder is None else count_trained_on(records, run_folder)
    counts = {
        "rows": len(records) + empty,
        "examples": scored,
        "empty": empty,
        "left_out": len(records) - scored,
        "cut": cut,
        "trained_on": trained_on,
    }
    return {**counts, "notes": [*facts.notes, *_notes(records, counts)]}


def _notes(records: Records, counts: Mapping[str, Any]) -> Iterator[Message]:
    source, examples, trained_on = records.source, counts["examples"], counts["trained_on"]
    if number := counts["left_out"]:
        yield message(
            "predict.left_out",
            "{source}: rows in which nothing can be scored, left out: {number:,}.",
            source=source,
            number=number,
        )
    if number := counts["cut"]:
        yield message(
            "predict.cut",
            "{source}: texts too long to be read whole, cut: {number:,} of {examples:,}.",
            source=source,
            number=number,
            examples=examples,
        )
    if trained_on:
        yield message(
            "predict.trained_on",
            "{source}: {number:,} of {total:,} texts were trained on; "
            "scores on these say nothing about new ones.",
            source=source,
            number=trained_on,
            total=len(records),
        )
    if trained_on is None:
        yield message(
            "predict.training_texts_unknown",
            "{source}: whether the model was trained on these texts is not known, for it stands "
            "without the {file} of its run.",
            source=source,
            file=TRAINED_ON,
        )
