"""The rest of a file's rows: those that are not answered yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import islice
from operator import itemgetter

from welltuned.data.inputs import Inputs
from welltuned.errors import Fault, Place


@dataclass(frozen=True)
class Rest:
    """What is left to be answered."""

    inputs: Inputs
    again: int
    """So many of the first answers are there already, and are computed again."""
    last_id: str | None
    """That of the last row that is answered."""


def rest_after(inputs: Inputs, done: int, window: int) -> Rest:
    """What is left of the inputs where the first `done` rows have an answer.

    Texts are batched within windows of so many records, from the first on, and answers differ by
    rounding between batches. So the window that was under way is computed again from its
    beginning, and the answers are those of a run never stopped.
    """
    refused = sorted(inputs.refused, key=_line)
    passed = list(islice(_rows(inputs, refused), done))
    records = sum(is_record for _, is_record, _ in passed)
    start = records // window * window
    left = inputs.records
    if left is not None:
        left = left.take(range(start, len(left))) if start < len(left) else None
    others = tuple(refused[done - records :])
    last_id = passed[-1][2] if passed else None
    return Rest(replace(inputs, records=left, refused=others), records - start, last_id)


def _rows(inputs: Inputs, refused: list[Fault]) -> Iterator[tuple[int, bool, str]]:
    """(line, whether it can be read, id) of every row, in the order of their answers."""
    records = inputs.records
    read: Iterator[tuple[int, bool, str]] = iter(())
    if records is not None:
        read = ((line, True, records.id(i)) for i, line in enumerate(records.lines))
    broken = ((_line(fault), False, _id(fault)) for fault in refused)
    return merge(read, broken, key=itemgetter(0))


def _line(fault: Fault) -> int:
    return (fault.place and fault.place.line) or 0


def _id(fault: Fault) -> str:
    place = fault.place or Place("texts")
    return str(Place(place.source, place.line))
