"""What a trial may know of those before it."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from welltuned.experiments.search.config import SweepSettings
from welltuned.experiments.search.past import (
    as_record,
    from_record,
    past_of,
    rungs_of,
    sampler_for,
    study_of,
    window_of,
)

RATE = optuna.distributions.FloatDistribution(0.0, 1.0)


def ended(value: float, **more: Any) -> FrozenTrial:
    return create_trial(value=value, params={"x": value}, distributions={"x": RATE}, **more)


def numbered(*trials: FrozenTrial) -> list[FrozenTrial]:
    return study_of(trials, True, RandomSampler(0)).get_trials()


def test_of_those_that_may_be_under_way_only_their_values_are_known() -> None:
    trials = numbered(ended(0.1), ended(0.2), ended(0.3))
    known = past_of(trials, 3, window=2)
    assert [trial.state.name for trial in known] == ["COMPLETE", "COMPLETE", "RUNNING"]
    assert [trial.params["x"] for trial in known] == [0.1, 0.2, 0.3]
    assert known[2].value is None
    assert len(past_of(trials, 2, window=1)) == 2


@pytest.mark.parametrize(
    ("sampler", "pruner", "window"),
    [("tpe", "none", 3), ("random", "median", 3), ("random", "none", 20), ("grid", "none", 20)],
)
def test_who_does_not_look_back_waits_for_nobody(sampler: Any, pruner: Any, window: int) -> None:
    assert window_of(SweepSettings(sampler=sampler, pruner=pruner), 3) == window


def test_a_trial_survives_json() -> None:
    attributes = {"completed_rung_0": 0.4, "fixed_params": {"x": 0.5}}
    trial = ended(0.5, intermediate_values={1: 0.4, 2: 0.5}, system_attrs=attributes)
    again = from_record(json.loads(json.dumps(as_record(trial))))
    assert again.state is TrialState.COMPLETE and again.value == 0.5
    assert again.intermediate_values == {1: 0.4, 2: 0.5}
    assert rungs_of(again) == {"completed_rung_0": 0.4}


def test_the_next_trial_has_its_number_and_is_proposed_away_from_those_under_way() -> None:
    settings = SweepSettings(trials=12)

    def proposed(trials: list[FrozenTrial]) -> float:
        study = study_of(trials, True, sampler_for(settings, len(trials)))
        trial = study.ask({"x": RATE})
        assert trial.number == len(trials)
        return float(trial.params["x"])

    past = numbered(*[ended(0.1 * number) for number in range(6)])
    first = proposed(past)
    assert first == proposed(past), "a pure function"
    busy = create_trial(state=TrialState.RUNNING, params={"x": first}, distributions={"x": RATE})
    assert proposed([*past, *[busy] * 4]) != first
