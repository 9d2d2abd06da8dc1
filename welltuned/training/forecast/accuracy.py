"""Forecast accuracy: what finished runs took, beside a forecast made for them afterwards."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from welltuned.config import RunConfig, run_config_from
from welltuned.engines.device import choose_device
from welltuned.errors import Fault, InputError, Place
from welltuned.runs import Run, list_runs
from welltuned.runs.environment import processor
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.plan import measured
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import prepare

_WITHIN = (0.15, 0.25)
_SINCE = "memory_at_start_bytes"
"""Runs of earlier releases do not say it."""


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


@dataclass(frozen=True)
class ForecastChecks:
    """All runs of a folder."""

    runs: list[ForecastCheck]
    left_out: dict[str, str]
    """Why a finished run cannot be forecast here, by its folder."""

    def accuracy(self) -> Iterator[Accuracy]:
        """The accuracy of each quantity over all runs."""
        for quantity in self.runs[0].predicted:
            errors = {run.run: run.error(quantity) for run in self.runs}
            worst = max(errors, key=lambda run: abs(errors[run]))
            sizes = [abs(error) for error in errors.values()]
            within = {most: sum(size <= most for size in sizes) / len(sizes) for most in _WITHIN}
            median = statistics.median(sizes)
            yield Accuracy(quantity, len(errors), median, within, errors[worst], worst)

    def as_dict(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "runs": [asdict(run) for run in self.runs],
            "left_out": self.left_out,
            "accuracy": [asdict(accuracy) for accuracy in self.accuracy()],
        }


def check_forecasts(folder: Path, progress: Working) -> ForecastChecks:
    """Forecast every finished run below a folder by its own config.

    `progress` hears (what, done, total). Raises `InputError` where there is no run to forecast.
    """
    finished = [run for run in list_runs(folder) if _SINCE in run.results.get("cost", {})]
    checks = ForecastChecks([], {})
    for i, run in enumerate(finished):
        try:
            checks.runs.append(_check(run, progress))
        except (InputError, RuntimeError, NotImplementedError) as error:
            checks.left_out[str(run.folder)] = str(error).splitlines()[0]
        progress("rehearsing runs", i + 1, len(finished))
    if not checks.runs:
        raise InputError(_none_to_check(folder, checks.left_out))
    return checks


def _check(run: Run, progress: Working) -> ForecastCheck:
    if (theirs := run.read("environment.json").get("cpu")) != processor():
        raise InputError(
            Fault(
                "plan.other_machine",
                "it ran on another machine, with {cpu}",
                None,
                "check it there",
                cpu=theirs,
            )
        )
    cost = run.results["cost"]
    found = _forecast(run, cost["memory_at_start_bytes"], progress)
    return ForecastCheck(
        run=str(run.folder),
        strategy=found.strategy,
        predicted={
            "memory": found.memory.total,
            "time": found.train_seconds,
            "disk": found.artifact_bytes,
        },
        measured={
            "memory": cost["peak_memory_bytes"],
            "time": cost["train_seconds"],
            "disk": cost["artifact_bytes"],
        },
    )


def _forecast(run: Run, held: int, progress: Working) -> Forecast:
    asked = run.config
    config = run_config_from({key: asked[key] for key in RunConfig.model_fields if key in asked})
    prepared, training = prepare(config), config.training.resolved()
    machine = measured(choose_device(config.training.device), progress)
    return forecast_run(prepared, config.strategy, training, machine, held)


def _none_to_check(folder: Path, left_out: dict[str, str]) -> Fault:
    return Fault(
        "plan.no_forecasts",
        "no finished run here can be forecast{why}",
        Place(str(folder)),
        "name the folder of runs that were trained on this machine, or train one",
        why=f": {'; '.join(sorted(set(left_out.values())))}" if left_out else "",
    )
