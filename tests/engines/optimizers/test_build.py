"""Optimizers by name and by import path, with options, and groups that take no step."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import torch
from torch import nn

from faults import refused
from optimizing import optimizer_training
from welltuned.engines.optimizer import build_optimizer
from welltuned.engines.optimizers.build import optimizer_class
from welltuned.strategies import ParameterGroup


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def test_sgd_steps_by_its_formula_with_a_groups_own_rate() -> None:
    """Decay of the weight joins the gradient, and momentum both."""
    weight = parameter(2.0)
    asked = optimizer_training(optim={"type": "sgd", "momentum": 0.5})
    optimizer = build_optimizer([ParameterGroup("one", [weight], 3.0)], asked)
    at, velocity = 2.0, 0.0
    for _ in range(3):
        weight.grad = torch.tensor([0.4])
        optimizer.step()
        velocity = 0.5 * velocity + 0.4 + 0.5 * at
        at -= 0.3 * velocity
    assert weight.item() == pytest.approx(at)


def test_lion_moves_by_signs() -> None:
    weight = parameter(2.0, -1.0)
    asked = optimizer_training(optim="lion", weight_decay=0.0)
    optimizer = build_optimizer([ParameterGroup("one", [weight])], asked)
    weight.grad = torch.tensor([1e-4, -30.0])
    optimizer.step()
    assert weight.tolist() == pytest.approx([1.9, -0.9])


def test_adafactor_does_not_scale_steps_by_the_size_of_a_weight() -> None:
    """A weight of zeros moves as far as AdamW would move it."""
    weight = nn.Parameter(torch.zeros(4, 4))
    asked = optimizer_training(optim="adafactor", learning_rate=1e-2)
    optimizer = build_optimizer([ParameterGroup("one", [weight])], asked)
    weight.grad = torch.full((4, 4), 0.3)
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.full((4, 4), -1e-2))


def test_adamws_keys_reach_its_kin() -> None:
    for optim in ("adamw_8bit", "schedule_free_adamw"):
        asked = optimizer_training(optim=optim, adam_beta1=0.8, adam_beta2=0.9, adam_epsilon=1e-4)
        (group,) = build_optimizer([ParameterGroup("one", [parameter(1.0)])], asked).param_groups
        assert (tuple(group["betas"]), group["eps"]) == ((0.8, 0.9), 1e-4)


def test_one_by_import_path_has_rate_decay_and_options() -> None:
    path = "optimizing.Own"
    made = build_optimizer(
        [ParameterGroup("one", [parameter(1.0)], 2.0)],
        optimizer_training(optim={"type": path, "momentum": 0.3}),
    )
    (group,) = made.param_groups
    assert type(made).__name__ == "Own"
    assert (group["lr"], group["weight_decay"], group["momentum"]) == (0.2, 0.5, 0.3)


def counts(optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    """All that groups hold but their weights, by the groups' names."""
    return {
        group["name"]: {name: value for name, value in group.items() if name != "params"}
        for group in optimizer.param_groups
    }


@pytest.mark.parametrize("optim", ["lion", "schedule_free_adamw", "adafactor", "muon"])
def test_a_group_without_gradients_counts_no_step(optim: str) -> None:
    """Neither where a step is not taken at all, nor where a block is frozen as yet."""
    early, late = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
    groups = [ParameterGroup(n, [w], in_blocks=True) for n, w in (("a", early), ("b", late))]
    optimizer = build_optimizer(groups, optimizer_training(optim=optim))
    before = counts(optimizer)
    optimizer.step()
    assert counts(optimizer) == before
    for _ in range(3):
        early.grad = torch.ones(2, 2)
        optimizer.step()
    assert late not in optimizer.state
    assert counts(optimizer)["b"] == before["b"]
    early.grad, late.grad = None, torch.ones(2, 2)
    optimizer.step()
    lone = nn.Parameter(torch.ones(2, 2))
    other = build_optimizer(
        [ParameterGroup("b", [lone], in_blocks=True)], optimizer_training(optim=optim)
    )
    lone.grad = torch.ones(2, 2)
    other.step()
    assert torch.equal(lone, late), "its first step is as if it were alone"


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with refused("training.optimizer_missing", package="pytorch-optimizer") as told:
        optimizer_class("lion")
    assert "welltuned[optimizers]" in str(told.value)
    with refused("training.optimizer_needs_torch", least="2.9"):
        optimizer_class("muon")
