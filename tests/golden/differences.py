"""How two sets of recorded runs differ, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

Record = dict[str, Any]
"""`{losses, weights, results}` of a run, or `{error}` of one that failed."""
Runs = dict[str, Record]


def differences(before: Runs, after: Runs, exact: bool = True) -> dict[str, list[str]]:
    """By run what differs; empty when nothing does.

    Another machine rounds otherwise, and its weights have no bit in common with ours. There
    `exact` is off: losses are compared by tolerance, and of results only which there are.
    """
    compare = _exactly if exact else _roughly
    found = {
        name: ["is new"]
        if name not in before
        else ["is gone"]
        if name not in after
        else list(compare(before[name], after[name]))
        for name in sorted(before.keys() | after.keys())
    }
    return {name: lines for name, lines in found.items() if lines}


def describe(found: dict[str, list[str]], most: int = 6) -> str:
    """For people: every run that differs with its first differences."""
    lines: list[str] = []
    for name, ones in found.items():
        lines += [name, *(f"    {one}" for one in ones[:most])]
        if len(ones) > most:
            lines.append(f"    … and {len(ones) - most} more")
    return "\n".join(lines)


def _exactly(before: Record, after: Record) -> Iterator[str]:
    return _leaves(before, after, "", lambda a, b: a == b)


def _roughly(before: Record, after: Record) -> Iterator[str]:
    def outline(record: Record) -> Record:
        return {**record, "weights": None, "results": sorted(record.get("results", ()))}

    return _leaves(outline(before), outline(after), "", _close)


def _close(a: Any, b: Any) -> bool:
    """Within 0.1%; losses of PPO begin at zero, so there is room beside it."""
    numbers = isinstance(a, float) and isinstance(b, float)
    return math.isclose(a, b, rel_tol=1e-3, abs_tol=1e-4) if numbers else a == b


def _leaves(a: Any, b: Any, place: str, equal: Callable[[Any, Any], bool]) -> Iterator[str]:
    """Every value that differs, by its place."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from _leaves(a.get(key), b.get(key), f"{place}.{key}".lstrip("."), equal)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _leaves(one, other, f"{place}[{i}]", equal)
    elif not equal(a, b):
        yield f"{place}: {_short(a)} -> {_short(b)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}…"
