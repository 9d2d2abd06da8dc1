"""A linear head apart from its model: what it reads stands for the model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import nn

from support import build, encode
from welltuned.engines.linear_head import HeadData, LinearHead, Standardised


def test_what_the_head_read_stands_for_the_model(tiny: Callable[..., str]) -> None:
    model, anatomy, _ = build(tiny("bert"), {"type": "partial", "num_blocks": 0})
    model.eval()
    batch, head = encode(tiny("bert"), ["good film", "a bad book"]), LinearHead(model, anatomy)
    with torch.no_grad():
        with head.recorded() as read:
            before = model(**batch).logits
        with head.replayed(read):
            assert torch.equal(model().logits, before)
        head.layer.bias.add_(1.0)
        with head.replayed(read):
            assert torch.allclose(model().logits, before + 1)
        assert torch.allclose(model(**batch).logits, before + 1)
    assert len(read) == 1 and not head.layer._forward_pre_hooks


def test_weights_on_standardised_features_are_put_back_as_they_stand() -> None:
    """A feature that does not vary counts for nothing, and gives no infinity."""
    torch.manual_seed(0)
    features = torch.randn(20, 3).double() * torch.tensor([1.0, 50.0, 0.0]) + 4
    layer = nn.Linear(3, 2)
    fitted = Standardised(HeadData(features, torch.zeros(20)), layer)
    with torch.no_grad():
        fitted.weight.normal_()
        assert fitted.bias is not None
        fitted.bias.normal_()
    fitted.write_to(layer)
    wanted: SimpleNamespace = fitted()
    assert torch.allclose(layer(features.float()).double(), wanted.logits, atol=1e-4)
    assert not layer.weight[:, 2].any()
