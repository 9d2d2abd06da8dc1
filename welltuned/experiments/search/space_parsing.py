"""Parsing one dimension of `sweep.space`."""

from __future__ import annotations

from typing import Any

from welltuned.errors import Faults, Place
from welltuned.experiments.search.space import Choices, Dimension, Interval
from welltuned.schema.document import nearest

_KEYS = ("low", "high", "log", "values")


def read_dimension(
    key: str, written: Any, whole: bool | None, place: Place, faults: Faults
) -> Dimension | None:
    """`{low, high, log}`, `{values}` or a bare list. None when there were faults; all recorded.

    `whole` says whether the field takes whole numbers only; None, that this is not known, and
    then whole ends mean whole numbers.
    """
    name = f"'{key}' in sweep.space"
    if isinstance(written, list):
        written = {"values": written}
    if not isinstance(written, dict):
        remedy = "write {low: …, high: …}, a list of values, or auto"
        faults.add(f"{name} is {written!r}"[:80], place, remedy)
        return None
    unknown = [str(word) for word in written if word not in _KEYS]
    for word in unknown:
        faults.add(f"{name} has an unknown key '{word}'", place, nearest(word, _KEYS))
    if unknown:
        return None
    if "values" in written:
        return _choices(key, name, written, place, faults)
    return _interval(key, name, written, whole, place, faults)


def _choices(
    key: str, name: str, written: dict[str, Any], place: Place, faults: Faults
) -> Choices | None:
    values = written["values"]
    if len(written) > 1:
        faults.add(f"{name} has both values and a range", place, "keep one of them")
    elif not isinstance(values, list) or not values:
        faults.add(f"{name} has no values", place, "write values: [first, second, …]")
    elif any(value in values[:i] for i, value in enumerate(values)):
        faults.add(f"{name} has a value twice", place, "keep one of them")
    else:
        return Choices(key, tuple(values))
    return None


def _interval(
    key: str, name: str, written: dict[str, Any], whole: bool | None, place: Place, faults: Faults
) -> Interval | None:
    low, high = (_number(written.get(end)) for end in ("low", "high"))
    log = written.get("log", False)
    if low is None or high is None or not isinstance(log, bool):
        what = f"{name} needs a number for low and for high, and true or false for log"
        faults.add(what, place, "write {low: 1e-5, high: 1e-2, log: true}")
    elif low > high:
        faults.add(f"{name} is reversed: low is {low:g} and high {high:g}", place, "swap them")
    elif low == high:
        faults.add(f"{name} is empty: low and high are {low:g}", place, "let high be above low")
    elif log and low <= 0:
        remedy = "let low be above 0, or log be false"
        faults.add(f"{name} goes by factors from {low:g}", place, remedy)
    elif whole and not (low.is_integer() and high.is_integer()):
        faults.add(f"{name} takes whole numbers only", place, "let low and high be whole")
    else:
        by_ends = isinstance(written["low"], int) and isinstance(written["high"], int)
        return Interval(key, low, high, log, by_ends if whole is None else whole)
    return None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < float("inf") else None
