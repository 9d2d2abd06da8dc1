"""Inputs and answers that cost no model."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from welltuned.artifact.answers import refused_row
from welltuned.data.inputs import Inputs
from welltuned.data.records import Records
from welltuned.errors import Fault, Place


def inputs_of(number: int, broken: tuple[int, ...] = ()) -> Inputs:
    """Rows of so many lines, of which those that are `broken` cannot be read."""
    lines = [line for line in range(1, number + 1) if line not in broken]
    records = Records("a.csv", {"text": [f"text {line}" for line in lines]}, lines, ("text",))
    refused = tuple(Fault("data.bad", "it is broken", Place("a.csv", line)) for line in broken)
    return Inputs(records if lines else None, refused)


class Answering:
    """Stands in for a predictor; it notes which texts it was asked."""

    def __init__(self, responder: object = None) -> None:
        self.problem: Any = SimpleNamespace(responder=responder)
        self.asked: list[str] = []

    def rows(self, inputs: Inputs, batch_size: int = 64) -> Iterator[tuple[object, dict[str, Any]]]:
        rows: list[tuple[int, object, dict[str, Any]]] = []
        for fault in inputs.refused:
            line = fault.place.line if fault.place is not None else None
            rows.append((line or 0, None, dict(refused_row(fault))))
        records = inputs.records
        for i, line in enumerate(records.lines if records is not None else ()):
            assert records is not None
            said = {"prediction": "good", "probabilities": {"good": 0.75, "=bad": 0.25}}
            rows.append((line, records["text"][i], {"id": records.id(i), **said}))
        for _, asked, row in sorted(rows, key=lambda row: row[0]):
            if asked is not None:
                self.asked.append(str(asked))
            yield asked, row
