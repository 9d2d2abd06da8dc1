"""What is said of each optimizer is what it does."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import nn

from optimizing import optimizer_training
from welltuned.engines.config import OptimizerName
from welltuned.engines.optimizer import build_optimizer
from welltuned.engines.optimizers.facts import OPTIMIZERS, kept_bytes, optimizer_facts
from welltuned.strategies import ParameterGroup

NAMES = get_args(OptimizerName)
SHAPES = {"matrix": (70, 80), "small": (4, 6), "vector": (50,), "embedding": (90, 64)}


def test_every_name_is_known() -> None:
    assert set(NAMES) == set(OPTIMIZERS)
    assert optimizer_facts("auto") is optimizer_facts("lbfgs") is OPTIMIZERS["adamw"]
    assert optimizer_facts("mine.optim.Own") is None


@pytest.mark.parametrize("optim", NAMES)
def test_it_keeps_as_much_as_is_foreseen(optim: str) -> None:
    """But for its counts, and for the table of values that 8-bit moments share."""
    weights = {name: nn.Parameter(torch.randn(shape)) for name, shape in SHAPES.items()}
    groups = [ParameterGroup(n, [w], in_blocks=n != "embedding") for n, w in weights.items()]
    optimizer = build_optimizer(groups, optimizer_training(optim=optim))
    for weight in weights.values():
        weight.grad = torch.randn_like(weight)
    optimizer.step()
    for group in groups:
        (weight,) = group.parameters
        state = optimizer.state[weight]
        kept = {name: v for name, v in state.items() if isinstance(v, torch.Tensor) and v.ndim}
        kept = {name: value for name, value in kept.items() if not name.startswith("qmap")}
        found = sum(value.nbytes for value in kept.values())
        assert found == kept_bytes(optim, tuple(weight.shape), group.in_blocks), group.name


def test_an_optimizer_of_ones_own_is_foreseen_as_adamw() -> None:
    assert kept_bytes("mine.optim.Own", (3, 5), True) == 2 * 4 * 15
