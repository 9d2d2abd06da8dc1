"""Best of n trials, for strategies that are to be compared at their best."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.experiments.search.config import SweepConfig
from welltuned.experiments.search.space import Value
from welltuned.experiments.search.space_reading import with_found
from welltuned.experiments.search.sweep import SweepObserver, run_sweep
from welltuned.schema.versions import SWEEP


@dataclass(frozen=True)
class Best:
    """What trials have found."""

    values: dict[str, Value]
    """The best ones, by key."""
    metric: str
    score: float
    """Of the best trial, on validation."""
    usual: float | None
    """That of the config as it is; None where it did not come to its end."""
    seconds: float
    """Of all trials together; CPU seconds of those that ran beside others."""

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def search_for(config: RunConfig, trials: int, folder: Path) -> SweepConfig:
    """The sweep that finds the best values for a config with so many trials.

    The space is what the strategy itself declares and the config leaves open. The first trial
    is the config as it is, and only the validation split is looked at. The folder is gone on
    with where it was begun.
    """
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return SweepConfig.model_validate(
        {**given, "output_dir": str(folder), "sweep": {"trials": trials, "keep": "none"}}
    )


def best_in(folder: Path) -> Best:
    """What a sweep has found."""
    summary = SWEEP.read(folder / "sweep.json")
    tried = summary["trials"]
    best = next(trial for trial in tried if trial["number"] == summary["best"])
    return Best(
        values=best["values"],
        metric=summary["metric"],
        score=best["value"],
        usual=next((trial["value"] for trial in tried if trial["usual"]), None),
        seconds=sum(trial["seconds"] or 0.0 for trial in tried),
    )


def tuned(
    config: RunConfig, trials: int, folder: Path, observer: SweepObserver | None = None
) -> RunConfig:
    """The config with the best values that a sweep of so many trials finds for it.

    Raises as `run_sweep` does.
    """
    run_sweep(search_for(config, trials, folder), observer=observer)
    return with_found(config, best_in(folder).values)
