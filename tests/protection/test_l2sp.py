"""L2-SP: a pull back to the start, on weights and on products of low rank."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from support import session_for
from welltuned.protection.l2sp import Product, ProductPull, Pull, products
from welltuned.training import retention_steps
from welltuned.training.observer import Observer

ALPHA = 0.3


def guarded(tiny: Any, sentiment: str, strategy: Any, **training: Any) -> tuple[Any, Any]:
    protection = {"type": "l2sp", "alpha": ALPHA}
    session = session_for(
        tiny("bert"), sentiment, strategy, protection=protection, training=training
    )
    [guard] = retention_steps.guards(session, Observer())
    return session, guard


def stir(model: nn.Module, only: str = "") -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if only in name:
                parameter.add_(0.1 * torch.randn_like(parameter))


def test_its_gradient_is_alpha_times_the_way_from_the_start() -> None:
    """Of alpha / 2 · |w - w0|², which is its value."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    guard = Pull([weight], ALPHA)
    with torch.no_grad():
        weight.add_(torch.tensor([0.5, -1.0]))
    weight.grad = torch.tensor([7.0, 7.0])
    value = guard.penalise(1)
    torch.testing.assert_close(weight.grad, 7 + ALPHA * torch.tensor([0.5, -1.0]))
    assert value == pytest.approx(ALPHA / 2 * (0.25 + 1.0))


def test_frozen_weights_are_given_no_gradient() -> None:
    """(F4) AdamW would decay and move them."""
    weight = nn.Parameter(torch.ones(2), requires_grad=False)
    guard = Pull([weight], ALPHA)
    assert guard.penalise(1) == 0.0
    assert weight.grad is None


def test_it_pulls_at_what_was_there_before_and_not_at_the_head(tiny: Any, sentiment: str) -> None:
    session, guard = guarded(tiny, sentiment, "full")
    start = {name: value.detach().clone() for name, value in session.model.named_parameters()}
    stir(session.model)
    for parameter in session.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    guard.penalise(1)
    for name, parameter in session.model.named_parameters():
        away = parameter.detach() - start[name]
        expected = torch.zeros_like(away) if name.startswith("classifier") else ALPHA * away
        torch.testing.assert_close(parameter.grad, expected)


def test_weights_of_frozen_blocks_are_left_alone(tiny: Any, sentiment: str) -> None:
    session, guard = guarded(tiny, sentiment, {"type": "partial", "num_blocks": 1})
    training = {name for name, p in session.model.named_parameters() if p.requires_grad}
    for name, parameter in session.model.named_parameters():
        parameter.grad = torch.zeros_like(parameter) if name in training else None
    stir(session.model, "layer.3")
    assert guard.penalise(1) > 0
    moved = {n for n, p in session.model.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {name for name in training if "layer.3" in name}


def test_for_lora_it_is_the_norm_of_the_product(tiny: Any, sentiment: str) -> None:
    """|s·B·A|² by autograd through the whole product, and by small Gram matrices."""
    session, guard = guarded(tiny, sentiment, {"type": "lora", "r": 3, "lora_alpha": 12})
    assert guard.penalise(1) == 0.0, "B is zero at the start"
    stir(session.model, "lora_")
    found: list[Any] = products(session.model)
    assert len(found) == 4 * 6 and {one.scale for one in found} == {4.0}
    session.model.zero_grad(set_to_none=True)
    value = guard.penalise(2)
    ours = [(one.a_RI.grad.clone(), one.b_OR.grad.clone()) for one in found]
    session.model.zero_grad(set_to_none=True)
    whole: Any = sum((one.scale * one.b_OR @ one.a_RI).square().sum() for one in found)
    (ALPHA / 2 * whole).backward()
    assert value == pytest.approx(float(ALPHA / 2 * whole.detach()), rel=1e-5)
    for (a_grad, b_grad), one in zip(ours, found, strict=True):
        torch.testing.assert_close(a_grad, one.a_RI.grad, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(b_grad, one.b_OR.grad, rtol=1e-4, atol=1e-6)
    frozen = [n for n, p in session.model.named_parameters() if not p.requires_grad]
    assert all(session.model.get_parameter(name).grad is None for name in frozen)


def test_factors_that_are_held_still_get_no_gradient() -> None:
    """(F4) As while the head alone trains."""
    a, b = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4, 2))
    a.requires_grad_(False)
    b.requires_grad_(False)
    assert ProductPull(1.0, [Product(a, b, 1.0)]).penalise(1) == pytest.approx(0.5 * 4 * 3 * 4)
    assert a.grad is None and b.grad is None
