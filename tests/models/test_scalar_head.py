"""The last layer of a head that says one number."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from support import STRATEGIES, build, encode, logits
from welltuned.models.scalar_head import fold, scalar_layer, start_small


@pytest.mark.parametrize("pooling", ["mean", "model"])
@pytest.mark.parametrize("strategy", ["full", "lora", "prefix", "houlsby"])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_folding_changes_what_the_model_says_and_nothing_else(
    family: str, strategy: str, pooling: str, tiny: Any
) -> None:
    """Whatever wraps the head; PEFT keeps a spare copy that is not used."""
    model, _, _ = build(tiny(family), STRATEGIES[strategy], pooling, labels=1)
    texts = encode(tiny(family), ["good", "a bad film"])
    before = logits(model, texts)
    fold(scalar_layer(model), 3.0, -2.0)
    torch.testing.assert_close(logits(model, texts), 3 * before - 2)


def test_r4_a_new_layer_starts_with_deviation_one_over_the_root_of_its_width() -> None:
    """(R4) 1 / sqrt(d + 1), and bias 0."""
    model: Any = nn.Sequential(nn.Linear(8, 1), nn.Linear(4095, 1))
    start_small(model, ["1.weight", "1.bias"], seed=0)
    assert model[1].weight.std().item() == pytest.approx(1 / math.sqrt(4096), rel=0.05)
    assert model[1].bias.item() == 0


def test_the_seed_decides_where_a_new_layer_starts() -> None:
    model: Any = nn.Sequential(nn.Linear(8, 1))
    drawn = []
    for seed in (0, 0, 1):
        start_small(model, ["0.weight"], seed)
        drawn.append(model[0].weight.tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_layer_that_was_learned_is_left_alone() -> None:
    model: Any = nn.Sequential(nn.Linear(8, 1))
    before = model[0].weight.clone()
    start_small(model, [], seed=0)
    assert torch.equal(model[0].weight, before)


def test_a_further_output_is_not_folded() -> None:
    """Such as what a window of a text weighs, which is not in the units of the number."""
    model: Any = nn.Sequential(nn.Linear(8, 1), nn.Linear(8, 2))
    read = torch.randn(5, 8)
    layer = scalar_layer(model, outputs=2)
    before = layer(read).detach()
    fold(layer, 3.0, -2.0)
    torch.testing.assert_close(layer(read)[:, 0], 3 * before[:, 0] - 2)
    torch.testing.assert_close(layer(read)[:, 1], before[:, 1])
