"""What trackers are told, from what a run writes down: numbers by split, and names."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.resumable_folder import LOCKS

_WHERE = {"step", "split"}
_CLOCKS = {"train/seconds", "train/examples_per_second", "validation/seconds"}
"""What tells of this machine and this hour."""
_COSTS = ("train_seconds", "examples_per_second", "peak_memory_bytes", "artifact_bytes")
_DEEPEST = 6
"""Folders between a run and the comparison that it is one run of, at most."""
_NO_NAMES = {"cells"}


def numbers_of(row: Mapping[str, object]) -> dict[str, float]:
    """The numbers of a line of metrics.jsonl, by its split.

    >>> numbers_of({"step": 3, "split": "train", "loss": 0.5, "change": "block 1 trains"})
    {'train/loss': 0.5}
    """
    return dict(_named_numbers(str(row["split"]), row))


def step_of(row: Mapping[str, object]) -> int:
    """The step of a line of metrics.jsonl."""
    return cast(int, row["step"])


def lasting(row: Mapping[str, object]) -> tuple[int, tuple[tuple[str, float], ...]]:
    """What two lines have in common that tell the same, though at another hour."""
    told = (item for item in numbers_of(row).items() if item[0] not in _CLOCKS)
    return step_of(row), tuple(sorted(told))


def final_numbers(results: Mapping[str, object]) -> dict[str, float]:
    """What a run came to: its scores with the ends of their intervals, and what it cost.

    Validation is that of the weights that were kept, and so not always its curve's last point.
    """
    found: dict[str, float] = {}
    for split, name in (("test", "test"), ("validation", "final_validation")):
        found |= _named_numbers(name, _part(results, split))
    cost = _part(results, "cost")
    return found | dict(_named_numbers("cost", {key: cost.get(key) for key in _COSTS}))


def _part(results: Mapping[str, object], name: str) -> Mapping[str, object]:
    return cast(Mapping[str, object], results.get(name, {}))


def _named_numbers(split: str, values: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        ends = value if name.endswith("_ci95") and isinstance(value, (list, tuple)) else ()
        for end, number in zip(("low", "high"), ends, strict=False):
            yield from _finite(f"{split}/{name}_{end}", number)
        if name not in _WHERE:
            yield from _finite(f"{split}/{name}", value)


def _finite(name: str, value: object) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    if math.isfinite(value):
        yield name, float(value)


# --- Names -----------------------------------------------------------------------


def named(folder: Path) -> tuple[str, str | None]:
    """(a run's name, that of its group) by its folder.

    Runs of a comparison, a sweep, a learning curve, a cross-validation or a pipeline are a group:
    `runs/reviews/cells/lora/seed-1` is `lora-seed-1` of the group `reviews`.
    """
    folder = folder.resolve()
    whole = [one for one in folder.parents[:_DEEPEST] if _holds_runs(one)]
    if not whole:
        return folder.name, None
    parts = [part for part in folder.relative_to(whole[-1]).parts if part not in _NO_NAMES]
    return "-".join(parts), whole[-1].name


def _holds_runs(folder: Path) -> bool:
    """Whether it is the folder of a comparison, a sweep or a curve, or a run that holds others."""
    is_run = (folder / "status.json").is_file() and (folder / "config.yaml").is_file()
    return Comparison.is_at(folder) or is_run or (folder / LOCKS).is_dir()
