"""The optimizer, the learning rate over time, and clipping."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizer import (
    build_optimizer,
    build_schedule,
    clip_gradients,
    learning_rate_at,
    learning_rate_factor,
)
from welltuned.strategies import ParameterGroup


def training(**values: Any) -> ResolvedTraining:
    plain = {
        "learning_rate": 0.1,
        "weight_decay": 0.5,
        "warmup_ratio": 0.0,
        "metric_for_best_model": "f1",
    }
    return ResolvedTraining(**{**plain, **values})


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values))


def group(*parameters: nn.Parameter, **options: Any) -> ParameterGroup:
    return ParameterGroup("any", list(parameters), **options)


def factors(total: int, **values: Any) -> list[float]:
    return [learning_rate_factor(step, total, training(**values)) for step in range(total)]


# --- Optimizer ----------------------------------------------------------------


def test_every_group_has_its_learning_rate_and_decay() -> None:
    groups = [
        group(parameter(1.0), learning_rate_scale=10.0),
        group(parameter(1.0), learning_rate_scale=0.5, decays=False),
    ]
    built = build_optimizer(groups, training()).param_groups
    assert [part["lr"] for part in built] == [1.0, 0.05]
    assert [part["weight_decay"] for part in built] == [0.5, 0.0]


def test_adamw_is_set_as_configured() -> None:
    asked = training(adam_beta1=0.8, adam_beta2=0.9, adam_epsilon=1e-4)
    (built,) = build_optimizer([group(parameter(1.0))], asked).param_groups
    assert (built["betas"], built["eps"]) == ((0.8, 0.9), 1e-4)


def test_a_step_is_adamws_by_its_formula() -> None:
    weight = parameter(2.0)
    optimizer = build_optimizer([group(weight)], training(adam_epsilon=1e-3))
    weight.grad = torch.tensor([0.4])
    optimizer.step()
    assert weight.item() == pytest.approx(2.0 * (1 - 0.1 * 0.5) - 0.1 * 0.4 / (0.4 + 1e-3))


def test_weights_without_gradient_are_left_alone_and_start_fresh_later() -> None:
    """Pitfalls F4 and G2: no decay, no moments, and the first step counts as the first."""
    frozen, trained = parameter(2.0), parameter(2.0)
    frozen.requires_grad = False
    optimizer = build_optimizer([group(frozen, trained)], training())
    for _ in range(3):
        trained.grad = torch.tensor([0.4])
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    assert frozen.item() == 2.0
    assert frozen not in optimizer.state
    frozen.requires_grad = True
    frozen.grad = torch.tensor([0.4])
    optimizer.step()
    assert optimizer.state[frozen]["step"].item() == 1


# --- Schedule -----------------------------------------------------------------


def test_the_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    found = factors(20, warmup_ratio=0.2)
    assert found[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert found[4:] == pytest.approx([1 - i / 16 for i in range(16)])


def test_without_warm_up_the_first_step_is_the_peak() -> None:
    assert factors(4) == pytest.approx([1, 0.75, 0.5, 0.25])


def test_the_cosine_falls_slowly_then_fast_then_slowly() -> None:
    found = factors(8, lr_scheduler_type="cosine")
    assert found == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 8)) for i in range(8)])


def test_a_constant_rate_knows_warm_up_only_when_asked() -> None:
    assert factors(4, lr_scheduler_type="constant", warmup_ratio=0.5) == [1, 1, 1, 1]
    warmed = factors(4, lr_scheduler_type="constant_with_warmup", warmup_ratio=0.5)
    assert warmed == pytest.approx([1 / 3, 2 / 3, 1, 1])


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant", "constant_with_warmup"])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.99])
@pytest.mark.parametrize("total", [1, 2, 7, 100])
def test_every_step_learns_and_none_learns_too_fast(kind: str, ratio: float, total: int) -> None:
    found = factors(total, lr_scheduler_type=kind, warmup_ratio=ratio)
    assert all(0 < factor <= 1 for factor in found)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_nothing_is_learned_beyond_the_end(kind: str) -> None:
    asked = training(lr_scheduler_type=kind)
    assert learning_rate_factor(10, 10, asked) == pytest.approx(0)
    assert learning_rate_factor(15, 10, asked) == pytest.approx(0)


def test_torch_applies_the_same_factor_to_every_group() -> None:
    groups = [group(parameter(1.0), learning_rate_scale=scale) for scale in (1.0, 10.0)]
    asked = training(warmup_ratio=0.3, lr_scheduler_type="cosine")
    optimizer = build_optimizer(groups, asked)
    schedule = build_schedule(optimizer, 10, asked)
    for factor in factors(10, warmup_ratio=0.3, lr_scheduler_type="cosine"):
        assert [part["lr"] for part in optimizer.param_groups] == pytest.approx(
            [0.1 * factor, 1.0 * factor]
        )
        optimizer.step()
        schedule.step()


def test_the_rate_that_is_told_is_the_schedules_without_a_groups_own_multiple() -> None:
    groups = [group(parameter(1.0), learning_rate_scale=7.0)]
    asked = training(warmup_ratio=0.3, lr_scheduler_type="cosine")
    optimizer = build_optimizer(groups, asked)
    schedule = build_schedule(optimizer, 10, asked)
    for step in range(1, 11):
        told = learning_rate_at(step, 10, asked)
        assert schedule.get_last_lr() == pytest.approx([7.0 * told], rel=1e-12)
        optimizer.step()
        schedule.step()


# --- Clipping -----------------------------------------------------------------


def clipped(max_norm: float) -> tuple[float, list[float]]:
    """Gradients of joint norm 13, over two groups and one weight without any."""
    one, two, none = parameter(0.0, 0.0), parameter(0.0), parameter(0.0)
    one.grad, two.grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    norm = clip_gradients([group(one, none), group(two)], max_norm)
    assert none.grad is None
    return norm, [*one.grad.tolist(), *two.grad.tolist()]


def test_gradients_are_scaled_down_together() -> None:
    norm, gradients = clipped(1.0)
    assert norm == pytest.approx(13)
    assert gradients == pytest.approx([3 / 13, 4 / 13, 12 / 13], rel=1e-4)


@pytest.mark.parametrize("max_norm", [0, 100])
def test_small_gradients_and_a_limit_of_zero_change_nothing(max_norm: float) -> None:
    norm, gradients = clipped(max_norm)
    assert norm == pytest.approx(13) and gradients == [3, 4, 12]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_norm_that_is_not_finite_shows(value: float) -> None:
    weight = parameter(0.0)
    weight.grad = torch.tensor([value])
    assert not math.isfinite(clip_gradients([group(weight)], 1.0))
