"""Modes, hashes and the table of what trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from support import build
from welltuned.models.freezing import (
    TableRow,
    hash_weights,
    in_eval_mode,
    set_training_modes,
    trainable_table,
)


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5), nn.Sequential(nn.Dropout()))
        self.trained = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        self.dropout = nn.Dropout(0.5)
        self.frozen.requires_grad_(False)


def test_a_module_without_weights_goes_with_its_parent() -> None:
    """(F2) Dropout in a frozen module is off, in a trained one on."""
    model = Nested().eval()
    set_training_modes(model)
    modes = {name: module.training for name, module in model.named_modules()}
    assert modes == {
        "": True,
        "frozen": False,
        "frozen.0": False,
        "frozen.1": False,
        "frozen.2": False,
        "frozen.2.0": False,
        "trained": True,
        "trained.0": True,
        "trained.1": True,
        "dropout": True,
    }


def test_modes_follow_what_trains_now() -> None:
    """(F2) After unfreezing, they are set again."""
    model = Nested()
    set_training_modes(model)
    model.frozen[0].weight.requires_grad_(True)
    set_training_modes(model)
    assert all(module.training for module in model.modules())


def test_a_frozen_block_under_checkpointing_trains_by_name_alone() -> None:
    """(F2, P6) transformers asks its flag whether to recompute; its dropout stays off."""
    model: Any = Nested()
    model.frozen.gradient_checkpointing = True
    set_training_modes(model)
    assert model.frozen.training
    assert not any(module.training for module in list(model.frozen.modules())[1:])


class Unmoved(nn.Module):
    """A module that must not be set to another mode."""

    def train(self, mode: bool = True) -> Unmoved:
        raise AssertionError("set to a mode that it was in")


def test_a_model_in_eval_mode_is_left_as_it_is() -> None:
    """Setting a mode on every module takes a tenth of one short text."""
    model = nn.Sequential(nn.Linear(2, 2), Unmoved())
    for module in model.modules():
        module.training = False
    with in_eval_mode(model):
        pass


def test_each_module_has_its_own_mode_back() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout()), nn.Dropout())
    model[1].eval()
    modes = [module.training for module in model.modules()]
    with in_eval_mode(model):
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == modes


def test_a_frozen_block_with_a_rate_of_its_own_stays_in_eval_mode() -> None:
    """(F2) Its flag would switch its dropout on."""
    model: Any = Nested()
    model.frozen.gradient_checkpointing = True
    model.frozen.hidden_dropout = 0.1
    set_training_modes(model)
    assert not model.frozen.training


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_hash_tells_one_bit(dtype: torch.dtype) -> None:
    """(F1) And nothing else: not the name, not the layout in memory."""
    weight = nn.Parameter(torch.ones(3, 4, dtype=dtype))
    before = hash_weights([("a", weight)])
    turned = nn.Parameter(torch.ones(4, 3, dtype=dtype).T)
    assert hash_weights([("b", turned)])["b"] == before["a"]
    with torch.no_grad():
        view = weight.view(torch.uint8)
        view[2, -1] ^= 1
    assert hash_weights([("a", weight)]) != before


def test_a_hash_tells_negative_zero_from_zero() -> None:
    """(F1) Bits are compared, and not values."""
    zeros = hash_weights(
        [("a", nn.Parameter(torch.zeros(2))), ("b", nn.Parameter(-torch.zeros(2)))]
    )
    assert zeros["a"] != zeros["b"]


def test_the_table_counts_every_weight_once(tiny: Any) -> None:
    model, anatomy, strategy = build(tiny("bert"), {"type": "partial", "num_blocks": 1})
    groups = strategy.parameter_groups(model, anatomy)
    rows = trainable_table(model, anatomy, [p for group in groups for p in group.parameters])
    assert [row.region for row in rows] == [
        "embeddings",
        "block 0",
        "block 1",
        "block 2",
        "block 3",
        "head",
    ]
    assert sum(row.parameters for row in rows) == sum(p.numel() for p in model.parameters())
    assert [row.share for row in rows] == [0, 0, 0, 0, 1, 1]
    assert rows[-1].parameters == 2 * 32 + 2


def test_the_table_leaves_out_pefts_spare_head(tiny: Any) -> None:
    """It is neither used nor saved."""
    model, anatomy, strategy = build(tiny("bert"), {"type": "lora", "r": 4})
    groups = strategy.parameter_groups(model, anatomy)
    rows = trainable_table(model, anatomy, [p for group in groups for p in group.parameters])
    head = rows[-1]
    assert (head.region, head.parameters, head.trainable) == ("head", 66, 66)
    per_block = 4 * (4 * (32 + 32) + (32 + 48) + (48 + 32))
    assert [row.trainable for row in rows[1:5]] == [per_block] * 4


def test_a_region_without_weights_has_no_share() -> None:
    assert TableRow("embeddings", 0, 0).share == 0.0
    assert TableRow("block 1", 8, 2).share == 0.25
