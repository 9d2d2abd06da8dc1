"""A round of a row: both sides once, in turns, each with what it took."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from speed.place import Command, Place, Taken, timed

Side = dict[str, Any]
"""`seconds`, `cpu_seconds`, `bytes`, and the `score` where there is one. Of a run of ours also its
`phases` by seconds, and its `efficiency`, the share of the machine's product rate in training."""
Round = dict[str, Any]
"""The `seed` and both sides, `ours` and `theirs`."""
Kept = Mapping[str, Any]
"""The rows that have been measured, by name."""
SIDES = ("ours", "theirs")


class NotHere(Exception):
    """What a row needs is missing; the message says what."""


Measure = Callable[[Place, Kept], Round]
"""One round of a row, given those of the other rows. Raises `NotHere`."""


def in_turns(place: Place, sides: Mapping[str, Callable[[], Side]]) -> Round:
    """Both sides, the one that went first in the last round now second."""
    order = SIDES if place.seed % 2 == 0 else SIDES[::-1]
    return {"seed": place.seed, **{side: sides[side]() for side in order}}


def pair(
    ours: Callable[[Place], Command],
    theirs: Callable[[Place], Command],
    score: str | None = "accuracy",
    needs: Callable[[Place], None] = lambda place: None,
) -> Measure:
    """A round of two commands. `score` is the field of both results; None where there is none."""

    def measure(place: Place, kept: Kept) -> Round:
        needs(place)

        def side(command: Command, found: Callable[[], float | None]) -> Side:
            for leftover in (place.run, place.cache, place.folder / "comparison"):
                shutil.rmtree(leftover, ignore_errors=True)
            place.out.unlink(missing_ok=True)
            return {**costs(timed(command, place)), "score": found(), **phases_of(place)}

        def ours_found() -> float | None:
            return None if score is None else read(place.run / "results.json")["test"][score]

        def theirs_found() -> float | None:
            values = read(place.out if place.out.exists() else place.run / "results.json")
            return None if score is None else values.get("test", values)[score]

        return in_turns(
            place,
            {
                "ours": lambda: side(ours(place), ours_found),
                "theirs": lambda: side(theirs(place), theirs_found),
            },
        )

    return measure


def phases_of(place: Place) -> Side:
    """Where the seconds of a run went, if one was left."""
    results = place.run / "results.json"
    if not results.exists():
        return {}
    cost = read(results)["cost"]
    return {"phases": cost["phases"], "efficiency": cost.get("hardware_efficiency")}


def costs(taken: Taken) -> Side:
    """What a process took, as a side of a round."""
    return {
        "seconds": taken.seconds,
        "cpu_seconds": taken.cpu_seconds,
        "bytes": taken.bytes,
    }


def read(file: Path) -> Any:
    """A file of JSON."""
    return json.loads(file.read_text(encoding="utf-8"))
