"""Steps that are imagined have the operations and the bytes of real ones."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from welltuned.planning.imagination import imagining

ROWS, WIDTH, HIDDEN = 8, 16, 64


def make(device: str) -> nn.Module:
    with torch.device(device):
        return nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))


def test_products_are_counted_as_torch_counts_them() -> None:
    real, inputs = make("cpu"), torch.ones(ROWS, WIDTH)
    with FlopCounterMode(display=False) as counter:
        real(inputs).sum().backward()
    imagined = make("meta")
    with imagining(imagined) as trace:
        imagined(inputs.to("meta")).sum().backward()
    assert trace.flops == counter.get_total_flops()


def test_the_peak_holds_weights_gradients_and_what_waits() -> None:
    model = make("meta")
    weights = sum(4 * weight.numel() for weight in model.parameters())
    waiting = 4 * ROWS * HIDDEN  # of the first layer, kept for gelu
    with imagining(model, lambda name: {"0": "first", "2": "last"}.get(name, "")) as trace:
        outputs = model(torch.ones(ROWS, WIDTH, device="meta"))
        assert trace.at_peak["first"] >= waiting
        assert weights + waiting <= trace.live <= trace.peak
        outputs.sum().backward()
    assert trace.at_peak["weights"] == weights
    assert 2 * weights <= trace.peak <= 2 * weights + 8 * waiting, "there are gradients now"


def test_what_is_let_go_is_counted_no_more() -> None:
    with imagining() as trace:
        tensor = torch.ones(1000, device="meta") + 1
        assert trace.live >= tensor.nbytes
        live = trace.live
        del tensor
        assert trace.live <= live - 4000


def test_what_depends_on_no_weight_is_computed() -> None:
    with imagining():
        mask = torch.tensor([1, 1, 0]).bool()
        assert mask.sum().item() == 2
