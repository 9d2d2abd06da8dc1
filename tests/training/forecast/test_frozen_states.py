"""What is foreseen of runs whose frozen blocks run once for each example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support import config_values
from welltuned.config import run_config_from
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.frozen_states import FrozenStates
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.preparation.prepare import RunPlan, prepare

TOP = {"type": "partial", "num_blocks": 1}
Ready = Callable[..., RunPlan]


@pytest.fixture
def ready(tiny: Any, sentiment: str, tmp_path: Path) -> Ready:
    """`ready(strategy, **training)`: a run that could start."""

    def make(strategy: Any, **training: Any) -> RunPlan:
        parts = {"task": {"pooling": "mean"}, "training": training}
        values = config_values(tiny("bert"), sentiment, strategy, tmp_path / "run", **parts)
        return prepare(run_config_from(values))

    return make


def foresee(prepared: RunPlan, machine: Machine) -> Forecast:
    training = prepared.config.training.resolved()
    return forecast_run(prepared, prepared.config.strategy, training, machine, process=0)


def states(prepared: RunPlan, machine: Machine, device: str = "cpu") -> FrozenStates:
    rehearsal = Rehearsal.of(prepared, prepared.config.strategy, torch.device("cpu"))
    return FrozenStates.of(replace(rehearsal, device=torch.device(device)), np.arange(4), machine)


def test_epochs_after_the_first_cost_the_upper_part_alone(ready: Ready, machine: Machine) -> None:
    def seconds(epochs: int, kept: bool) -> float:
        changes = {"num_train_epochs": epochs, "cache_frozen_blocks": kept}
        return foresee(ready(TOP, **changes), machine).train_seconds

    more = [seconds(6, kept) - seconds(1, kept) for kept in (True, False)]
    assert 0 < more[0] < 0.85 * more[1]
    assert seconds(1, True) == pytest.approx(seconds(1, False), rel=0.2)


def test_validation_is_found_too_and_states_take_memory(ready: Ready, machine: Machine) -> None:
    kept, computed = (
        foresee(ready(TOP, num_train_epochs=6, cache_frozen_blocks=kept), machine)
        for kept in (True, False)
    )
    assert kept.evaluation_seconds < computed.evaluation_seconds
    tokens = 32 * 4  # of the tiny models' hidden states
    assert kept.memory.states % tokens == 0 and kept.memory.states > 0 == computed.memory.states
    assert kept.memory.total == computed.memory.total + kept.memory.states


def test_nothing_is_kept_where_everything_trains_or_a_run_keeps_nothing(
    ready: Ready, machine: Machine
) -> None:
    assert states(ready("full"), machine) == FrozenStates()
    assert states(ready(TOP), machine, "cuda") == FrozenStates()
    found = states(ready(TOP), machine)
    assert found.seconds > 0 and found.bytes == 32 * 4
