"""Parsing one dimension of `sweep.space`."""

from __future__ import annotations

from typing import Any

from welltuned.errors import Faults, Place
from welltuned.experiments.search.space import Choices, Dimension, Interval
from welltuned.schema.validation import nearest

_KEYS = ("low", "high", "log", "values")


def read_dimension(
    key: str, written: object, whole: bool | None, place: Place, faults: Faults
) -> Dimension | None:
    """`{low, high, log}`, `{values}` or a bare list. None when there were faults; all recorded.

    `whole` says whether the field takes whole numbers only; None, that this is not known, and
    then whole ends mean whole numbers.
    """
    if isinstance(written, list):
        written = {"values": written}
    if not isinstance(written, dict):
        faults.add(
            "sweep.bad_dimension",
            "'{key}' in sweep.space is {written}",
            place,
            "write {{low: …, high: …}}, a list of values, or auto",
            key=key,
            written=f"{written!r}"[:60],
        )
        return None
    unknown = [str(word) for word in written if word not in _KEYS]
    for word in unknown:
        faults.add(
            "sweep.dimension_key_unknown",
            "'{key}' in sweep.space has an unknown key '{word}'",
            place,
            "{hint}",
            key=key,
            word=word,
            hint=nearest(word, _KEYS),
        )
    if unknown:
        return None
    if "values" in written:
        return _choices(key, written, place, faults)
    return _interval(key, written, whole, place, faults)


def _choices(key: str, written: dict[str, Any], place: Place, faults: Faults) -> Choices | None:
    values = written["values"]
    if len(written) > 1:
        faults.add(
            "sweep.values_and_range",
            "'{key}' in sweep.space has both values and a range",
            place,
            "keep one of them",
            key=key,
        )
    elif not isinstance(values, list) or not values:
        faults.add(
            "sweep.no_values",
            "'{key}' in sweep.space has no values",
            place,
            "write values: [first, second, …]",
            key=key,
        )
    elif any(value in values[:i] for i, value in enumerate(values)):
        faults.add(
            "sweep.value_repeated",
            "'{key}' in sweep.space has a value twice",
            place,
            "keep one of them",
            key=key,
        )
    else:
        return Choices(key, tuple(values))
    return None


def _interval(
    key: str, written: dict[str, Any], whole: bool | None, place: Place, faults: Faults
) -> Interval | None:
    low, high = (_number(written.get(end)) for end in ("low", "high"))
    log = written.get("log", False)
    if low is None or high is None or not isinstance(log, bool):
        faults.add(
            "sweep.bad_range",
            "'{key}' in sweep.space needs a number for low and for high, and true or false for log",
            place,
            "write {{low: 1e-5, high: 1e-2, log: true}}",
            key=key,
        )
    elif low > high:
        faults.add(
            "sweep.range_reversed",
            "'{key}' in sweep.space is reversed: low is {low:g} and high {high:g}",
            place,
            "swap them",
            key=key,
            low=low,
            high=high,
        )
    elif low == high:
        faults.add(
            "sweep.range_empty",
            "'{key}' in sweep.space is empty: low and high are {low:g}",
            place,
            "make high greater than low",
            key=key,
            low=low,
        )
    elif log and low <= 0:
        faults.add(
            "sweep.log_range_from_zero",
            "'{key}' in sweep.space is logarithmic, and starts at {low:g}",
            place,
            "make low greater than 0, or set log: false",
            key=key,
            low=low,
        )
    elif whole and not (low.is_integer() and high.is_integer()):
        faults.add(
            "sweep.range_not_whole",
            "'{key}' in sweep.space takes integers only",
            place,
            "use integers for low and high",
            key=key,
        )
    else:
        by_ends = isinstance(written["low"], int) and isinstance(written["high"], int)
        return Interval(key, low, high, log, by_ends if whole is None else whole)
    return None


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < float("inf") else None
