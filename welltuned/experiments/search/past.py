"""The past of a trial: what may be known when it is proposed, and when it is judged.

Trials side by side end in whatever order. So that a seed gives the same trials all the same,
number n follows from those up to n - `window` alone, which have all ended by then: of those in
between it is known that they are under way, and with which values, but not how they do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from welltuned.experiments.search.config import SweepSettings

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

STUDY = "sweep"
"""The name of a sweep's study, by which Hyperband tells its brackets apart."""
_RUNG = "completed_rung_"
"""Where successive halving notes in a trial what it had reached when it was compared."""


def window_of(settings: SweepSettings, at_once: int) -> int:
    """How far back from a trial its past begins: as many trials as are under way at once.

    Where neither sampler nor pruner look back, none has to wait for any other.
    """
    looks_back = settings.sampler == "tpe" or settings.pruner != "none"
    return at_once if looks_back else settings.trials


def past_of(trials: Sequence[FrozenTrial], number: int, window: int) -> list[FrozenTrial]:
    """The trials before `number`, those it may not know of as ones under way."""
    return [
        trial
        if trial.number <= number - window and trial.state.is_finished()
        else _under_way(trial)
        for trial in trials[:number]
    ]


def study_of(
    past: Iterable[FrozenTrial],
    maximize: bool,
    sampler: optuna.samplers.BaseSampler,
    pruner: str = "none",
) -> optuna.Study:
    """A study in memory that knows this past; the next trial has the number it has in the sweep."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=STUDY,
        direction="maximize" if maximize else "minimize",
        sampler=sampler,
        pruner=_pruner(pruner),
    )
    study.add_trials(past)
    return study


def sampler_for(settings: SweepSettings, number: int) -> optuna.samplers.BaseSampler:
    """A sampler for a trial, seeded by its number, so that no two processes draw the same."""
    from optuna import exceptions, samplers

    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    if settings.sampler != "tpe":
        return samplers.RandomSampler(seed=seed)
    first = max(4, min(10, settings.trials // 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        # A trial under way counts as a bad one: the next is proposed elsewhere.
        return samplers.TPESampler(seed=seed, n_startup_trials=first, constant_liar=True)


def rungs_of(trial: FrozenTrial) -> dict[str, float]:
    """What successive halving has noted in a trial."""
    return {k: v for k, v in trial.system_attrs.items() if k.startswith(_RUNG)}


class PastTrial(TypedDict):
    """A trial of the past as JSON, as far as it matters to those who judge others by it."""

    state: str
    value: float | None
    looks: list[tuple[int, float]]
    """Its evaluations, in order."""
    rungs: dict[str, float]


def as_record(trial: FrozenTrial) -> PastTrial:
    """A trial as it is sent to the worker of a later one."""
    return {
        "state": trial.state.name,
        "value": trial.value,
        "looks": sorted(trial.intermediate_values.items()),
        "rungs": rungs_of(trial),
    }


def from_record(record: PastTrial) -> FrozenTrial:
    """The trial that `as_record` wrote."""
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState[record["state"]],
        value=record["value"],
        system_attrs=dict(record["rungs"]),
        intermediate_values=dict(record["looks"]),
    )


def _under_way(trial: FrozenTrial) -> FrozenTrial:
    from optuna.trial import TrialState, create_trial

    return create_trial(
        state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions
    )


def _pruner(name: str) -> optuna.pruners.BasePruner:
    from optuna import pruners

    if name == "median":
        return pruners.MedianPruner(n_startup_trials=4, n_min_trials=3)
    if name == "hyperband":
        return pruners.HyperbandPruner()
    return pruners.NopPruner()
