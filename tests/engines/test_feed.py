"""Batches that are made ahead are those that are made when they are needed."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from support import STRATEGIES, fit, job_for
from welltuned.engines import feed, hf_trainer, torch_loop
from welltuned.engines.events import Listener
from welltuned.engines.step_plan import StepPlan

TRAINING = {"num_train_epochs": 2, "per_device_train_batch_size": 8}


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are made ahead on this CPU, too."""
    monkeypatch.setattr(feed, "runs_ahead", lambda device: True)


def test_steps_come_in_order_with_the_batches_they_would_have(
    ahead: None, tiny: Any, few: str
) -> None:
    job = job_for(tiny("bert"), few, STRATEGIES["full"], Listener(), training=TRAINING)
    plan = StepPlan.of(job.batches, job.training)
    steps = list(feed.fed(job, plan))
    assert [step.number for step in steps] == [step.number for step in plan]
    for made, planned in zip(steps, plan, strict=True):
        assert made.made is not None and planned.made is None
        ahead_of, in_time = (feed.micro_batches_of(job, one) for one in (made, planned))
        for one, other in zip(ahead_of, in_time, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)


def test_on_a_cpu_a_batch_is_made_when_it_is_needed(tiny: Any, few: str) -> None:
    job = job_for(tiny("bert"), few, STRATEGIES["full"], Listener())
    steps = feed.fed(job, StepPlan.of(job.batches, job.training))
    assert next(iter(steps)).made is None


@pytest.mark.parametrize("engine", [torch_loop, hf_trainer], ids=["torch", "hf"])
def test_training_is_the_same_and_leaves_no_thread(
    engine: Any, tiny: Any, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for runs_ahead in (False, True):
        monkeypatch.setattr(feed, "runs_ahead", lambda device, answer=runs_ahead: answer)
        job = job_for(tiny("bert"), few, STRATEGIES["full"], Listener(), training=TRAINING)
        job.folder = tmp_path
        fit(engine, job)
        weights.append(list(job.model.state_dict().values()))
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
    assert not [one for one in threading.enumerate() if one.name.startswith("feed")]


def test_what_goes_wrong_ahead_is_raised_where_the_batch_is_asked_for(
    ahead: None, tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_for(tiny("bert"), few, STRATEGIES["full"], Listener())

    def broken(*arguments: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(type(job.problem.codec), "collate", broken)
    (first, *_) = feed.fed(job, StepPlan.of(job.batches, job.training))
    with pytest.raises(ValueError, match="broken"):
        feed.micro_batches_of(job, first)
