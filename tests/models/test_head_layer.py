"""The head that answers is found by its name, also among PEFT's two copies of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from support import STRATEGIES, build, encode
from welltuned.models.head_layer import head_layer, readings_of


@pytest.mark.parametrize("strategy", ["full", "lora", "houlsby"])
def test_changing_it_changes_the_answers(tiny: Callable[..., str], strategy: str) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES[strategy])
    layer, batch = head_layer(model, anatomy.head[0]), encode(tiny("bert"), ["it was good"])
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([3.0, -1.0]))
        assert model.eval()(**batch).logits.tolist() == [[3.0, -1.0]]


def test_a_head_of_several_layers_is_none(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("roberta"), STRATEGIES["full"], pooling="model")
    with pytest.raises(ValueError, match="no linear layer"):
        head_layer(model, anatomy.head[0])


@pytest.mark.parametrize("detached", [True, False])
def test_what_it_reads_is_noted_for_as_long_as_that_is_wanted(
    tiny: Callable[..., str], detached: bool
) -> None:
    model, anatomy, _ = build(tiny("bert"), STRATEGIES["full"])
    layer, batch = head_layer(model, anatomy.head[0]), encode(tiny("bert"), ["it was good", "so"])
    with readings_of(layer, detached) as read:
        logits = model.eval()(**batch).logits
    model(**batch)
    assert len(read) == 1
    assert read[0].requires_grad is not detached
    assert torch.allclose(layer(read[0]), logits)
