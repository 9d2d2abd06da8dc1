"""On `meta`, autocast is done as it would be on a device."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from welltuned.models.checkpoint_context import contexts
from welltuned.training.forecast.meta_tracer import imagining
from welltuned.training.forecast.operations import ATTENTION

Make = Callable[..., torch.Tensor]
SOURCE = torch.empty(0, device="meta")
LABELS = torch.tensor([0, 1, 2, 3])
CALLS: dict[str, Callable[[Make], torch.Tensor]] = {
    "@": lambda make: make(4, 8) @ make(8, 4),
    "matmul": lambda make: torch.matmul(make(4, 8), make(8, 4)),
    "Tensor.matmul": lambda make: make(4, 8).matmul(make(8, 4)),
    "mm": lambda make: torch.mm(make(4, 8), make(8, 4)),
    "Tensor.mm": lambda make: make(4, 8).mm(make(8, 4)),
    "bmm": lambda make: torch.bmm(make(2, 4, 8), make(2, 8, 4)),
    "Tensor.bmm": lambda make: make(2, 4, 8).bmm(make(2, 8, 4)),
    "addmm": lambda make: torch.addmm(make(4), make(4, 8), make(8, 4)),
    "Tensor.addmm": lambda make: make(4, 4).addmm(make(4, 8), make(8, 4)),
    "baddbmm": lambda make: torch.baddbmm(make(2, 4, 4), make(2, 4, 8), make(2, 8, 4)),
    "einsum": lambda make: torch.einsum("ij,jk->ik", make(4, 8), make(8, 4)),
    "linear": lambda make: functional.linear(make(4, 8), make(4, 8), make(4)),
    "attention": lambda make: functional.scaled_dot_product_attention(
        make(1, 2, 4, 8), make(1, 2, 4, 8), make(1, 2, 4, 8)
    ),
    "softmax of half": lambda make: make(4, 8).bfloat16().softmax(-1),
    "layer_norm of half": lambda make: functional.layer_norm(make(4, 8).bfloat16(), (8,)),
    "gelu of half": lambda make: functional.gelu(make(4, 8).bfloat16()),
    "cross_entropy of half": lambda make: functional.cross_entropy(make(4, 8).bfloat16(), LABELS),
    "mse_loss of half": lambda make: functional.mse_loss(make(4).bfloat16(), make(4).bfloat16()),
    "add": lambda make: make(4) + make(4).bfloat16(),
}


def make_imagined(*shape: int) -> torch.Tensor:
    return SOURCE.new_ones(shape)


@pytest.mark.parametrize("name", CALLS)
def test_dtypes_under_autocast_are_those_of_the_device(name: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        real = CALLS[name](torch.ones)
        with imagining():
            imagined = CALLS[name](make_imagined)
    assert imagined.is_meta and imagined.shape == real.shape
    assert imagined.dtype == real.dtype


@pytest.mark.parametrize("name", ["@", "linear", "attention"])
def test_without_autocast_nothing_changes(name: str) -> None:
    with imagining():
        imagined = CALLS[name](make_imagined)
    assert imagined.dtype == torch.float32


def test_what_is_recomputed_for_the_backward_pass_is_served_alike() -> None:
    """Checkpoints refuse a second pass whose tensors have other dtypes or shapes."""
    queries = torch.ones(1, 2, 4, 8, device="meta", requires_grad=True)
    weight = torch.ones(8, 8, device="meta", requires_grad=True)

    def attend(states: torch.Tensor) -> torch.Tensor:
        states = functional.linear(states, weight)
        return functional.scaled_dot_product_attention(states, states, states)

    with imagining() as trace:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = checkpoint(attend, queries, use_reentrant=False, context_fn=contexts).sum()
        loss.backward()
    attentions = [o for o in trace.operations.elements() if o.name == ATTENTION]
    assert len(attentions) == 2 and all(operation.half for operation in attentions)
    assert weight.grad is not None
