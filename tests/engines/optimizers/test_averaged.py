"""A schedule-free training is looked at, kept and left as the average of its weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from optimizing import optimizer_training
from support import job_for
from welltuned.engines import torch_loop
from welltuned.engines.optimizer import build_optimizer
from welltuned.engines.optimizers.averaged import AveragedWeights
from welltuned.engines.snapshot import Snapshot
from welltuned.strategies import ParameterGroup


def taken(optim: str) -> tuple[nn.Parameter, Any, list[torch.Tensor]]:
    """A weight after five steps, its optimizer, and the points z that are averaged."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(300))
    asked = optimizer_training(optim=optim, weight_decay=0.0)
    optimizer = build_optimizer([ParameterGroup("one", [weight])], asked)
    points = []
    for _ in range(5):
        weight.grad = torch.randn(300)
        optimizer.step()
        points.append(optimizer.state[weight].get("z", weight.detach()).clone())
    return weight, optimizer, points


def test_what_is_shown_is_the_mean_of_all_points() -> None:
    """At a constant rate all have the same weight."""
    weight, optimizer, points = taken("schedule_free_adamw")
    with AveragedWeights(optimizer, [weight]).shown():
        torch.testing.assert_close(weight.detach(), torch.stack(points).mean(0))


def test_to_look_changes_no_bit() -> None:
    weight, optimizer, _ = taken("schedule_free_adamw")
    before = weight.detach().clone()
    averaged = AveragedWeights(optimizer, [weight])
    for _ in range(3):
        averaged.show()
        assert not torch.equal(weight, before)
        averaged.hide()
        averaged.hide()
        assert torch.equal(weight, before)
    weight.grad = torch.ones(300)
    optimizer.step()  # it is in training again


def test_other_optimizers_have_nothing_to_show() -> None:
    weight, optimizer, _ = taken("adamw")
    before = weight.detach().clone()
    with AveragedWeights(optimizer, [weight]).shown():
        assert torch.equal(weight, before)


def test_a_training_validates_and_ends_with_the_average_and_saves_what_trains(
    tiny: Any, few: str
) -> None:
    seen: list[tuple[str, torch.Tensor]] = []
    asked = {"optim": "schedule_free_adamw", "num_train_epochs": 1, "save_steps": 6}
    job = job_for(tiny("bert"), few, {"type": "full"}, training={**asked, "learning_rate": 1e-3})
    weight = job.groups[0].parameters[0]

    def validate() -> dict[str, float]:
        seen.append(("validated", weight.detach().clone()))
        return {"macro_f1": 0.5}

    def save(snapshot: Snapshot) -> None:
        seen.append(("saved", weight.detach().clone()))

    def keep(step: int, scores: Any) -> None:
        seen.append(("kept", weight.detach().clone()))

    torch_loop.fit_with_loop(replace(job, validate=validate, save=save, keep=keep))
    assert [what for what, _ in seen] == ["saved", "validated", "kept"]
    (_, trained), (_, validated), (_, kept) = seen
    assert torch.equal(validated, kept) and torch.equal(kept, weight)
    assert not torch.equal(trained, weight)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_beside_it_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match="averages the weights in place of a schedule"):
        optimizer_training(optim="schedule_free_adamw", lr_scheduler_type=schedule)
    assert (
        optimizer_training(optim="schedule_free_adamw").lr_scheduler_type == "constant_with_warmup"
    )
