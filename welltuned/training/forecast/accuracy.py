"""Forecast accuracy: predicted costs beside measured ones."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from welltuned.errors import Fault, InputError, Place
from welltuned.runs import Run, list_runs

_QUANTITIES = {
    "memory": ("memory_bytes", "peak_memory_bytes"),
    "time": ("train_seconds", "train_seconds"),
    "disk": ("artifact_bytes", "artifact_bytes"),
}
"""What is compared: (its name among predictions, its name among measurements)."""
_WITHIN = (0.15, 0.25)


@dataclass(frozen=True)
class ForecastCheck:
    """One run: what was predicted and what was measured, by quantity."""

    run: str
    strategy: str
    predicted: dict[str, float]
    measured: dict[str, float]

    def error(self, quantity: str) -> float:
        """Predicted over measured, less 1."""
        return self.predicted[quantity] / self.measured[quantity] - 1


@dataclass(frozen=True)
class Accuracy:
    """The errors of all forecasts of one quantity."""

    quantity: str
    runs: int
    median: float
    """Of the errors' sizes."""
    within: dict[float, float]
    """The share of runs whose error is at most so large."""
    worst: float
    worst_run: str


def read_pairs(folder: Path) -> list[ForecastCheck]:
    """Every run below a folder that has a forecast.

    Raises `InputError` when there is none.
    """
    pairs = [pair for run in list_runs(folder) if (pair := _pair(run)) is not None]
    if not pairs:
        raise InputError(
            Fault(
                "plan.no_forecasts",
                "no finished run here has a forecast",
                Place(str(folder)),
                "name the folder of your runs, or train one",
            )
        )
    return pairs


def _pair(run: Run) -> ForecastCheck | None:
    cost: Mapping[str, Any] = run.results.get("cost", {})
    predicted: Mapping[str, float] = cost.get("predicted", {})
    if not predicted:
        return None
    return ForecastCheck(
        str(run.folder),
        run.config["strategy"]["type"],
        {name: float(predicted[ours]) for name, (ours, _) in _QUANTITIES.items()},
        {name: float(cost[theirs]) for name, (_, theirs) in _QUANTITIES.items()},
    )


def summarise_accuracy(pairs: Sequence[ForecastCheck]) -> list[Accuracy]:
    """The accuracy of each quantity over all runs."""
    found = []
    for quantity in _QUANTITIES:
        errors = {pair.run: pair.error(quantity) for pair in pairs}
        worst = max(errors, key=lambda run: abs(errors[run]))
        sizes = [abs(error) for error in errors.values()]
        found.append(
            Accuracy(
                quantity,
                len(errors),
                statistics.median(sizes),
                {limit: sum(size <= limit for size in sizes) / len(sizes) for limit in _WITHIN},
                errors[worst],
                worst,
            )
        )
    return found


def as_dict(pairs: Sequence[ForecastCheck]) -> dict[str, object]:
    """Everything, for JSON."""
    return {
        "runs": [asdict(pair) for pair in pairs],
        "accuracy": [asdict(accuracy) for accuracy in summarise_accuracy(pairs)],
    }
