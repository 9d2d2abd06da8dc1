"""A snapshot gives back what an optimizer and random numbers were, bit for bit."""

from __future__ import annotations

import torch

from welltuned.engines.snapshot import (
    optimizer_tensors,
    random_states,
    restore_optimizer,
    restore_random_states,
    restore_weights,
)

CPU = torch.device("cpu")


def trained(steps: int) -> tuple[dict[str, torch.nn.Parameter], torch.optim.AdamW]:
    torch.manual_seed(0)
    weights = {name: torch.nn.Parameter(torch.randn(3)) for name in ("a", "b", "never")}
    optimizer = torch.optim.AdamW(weights.values(), lr=0.1, fused=True)
    for step in range(steps):
        for name in ("a", "b")[: step + 1]:
            weights[name].grad = torch.full((3,), 1.0 + step)
        optimizer.step()
    return weights, optimizer


def test_a_restored_optimizer_takes_the_same_step() -> None:
    """Also for a weight that had fewer steps, and one that had none."""
    weights, optimizer = trained(3)
    tensors = {name: value.clone() for name, value in optimizer_tensors(optimizer, weights).items()}
    assert {name.split("/")[1] for name in tensors} == {"a", "b"}
    values = {name: weight.detach().clone() for name, weight in weights.items()}
    others, other = trained(0)
    restore_weights(others, values)
    restore_optimizer(other, others, tensors)
    for group, made in ((weights, optimizer), (others, other)):
        for weight in group.values():
            weight.grad = torch.ones(3)
        made.step()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def test_restored_random_numbers_go_on() -> None:
    torch.manual_seed(7)
    torch.rand(5)
    states = random_states(CPU)
    expected = torch.rand(4)
    torch.manual_seed(1)
    restore_random_states(states, CPU)
    assert torch.equal(torch.rand(4), expected)
