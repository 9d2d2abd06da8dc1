"""Losses and their gradients: zero exactly where they must be, and right everywhere else."""

from __future__ import annotations

import pytest
import torch

from welltuned.rlhf.algorithms.losses import (
    exact_losses,
    is_clipped,
    policy_losses,
    value_losses,
)
from welltuned.rlhf.kl import divergence, entropies


@pytest.mark.parametrize("advantage", [2.0, -2.0])
@pytest.mark.parametrize("ratio", [0.5, 0.79, 0.81, 1.0, 1.19, 1.21, 2.0])
def test_o5_the_policy_gradient_is_cut_off_exactly_where_it_must_be(
    advantage: float, ratio: float
) -> None:
    old = torch.tensor([[-1.0]], dtype=torch.float64)
    new = (old + torch.tensor(ratio, dtype=torch.float64).log()).requires_grad_()
    advantages = torch.tensor([[advantage]], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(policy_losses(new, old, advantages, 0.2).sum(), new)
    cut = (advantage > 0 and ratio > 1.2) or (advantage < 0 and ratio < 0.8)
    assert bool(is_clipped(new, old, advantages, 0.2)) == cut
    assert float(gradient) == pytest.approx(0.0 if cut else -ratio * advantage, abs=1e-12)


def test_the_policy_loss_is_the_pessimistic_one() -> None:
    old, new = torch.zeros(1, 2), torch.tensor([[0.5, -0.5]])
    advantages = torch.tensor([[1.0, 1.0]])
    expected = -torch.minimum(new.exp(), new.exp().clamp(0.8, 1.2))
    torch.testing.assert_close(policy_losses(new, old, advantages, 0.2), expected)


@pytest.mark.parametrize(
    ("value", "expected", "moves"),
    [
        (1.1, 0.5 * 0.9**2, True),  # within the range: the plain squared error
        (
            1.9,
            0.5 * 0.8**2,
            False,
        ),  # beyond, towards the return: the clipped one is larger, and flat
        (0.5, 0.5 * 1.5**2, True),  # beyond, away from the return: the plain one is larger
    ],
)
def test_o5_the_value_loss_is_half_the_larger_of_two(
    value: float, expected: float, moves: bool
) -> None:
    values = torch.tensor([[value]], requires_grad=True)
    losses = value_losses(values, torch.tensor([[1.0]]), torch.tensor([[2.0]]), 0.2)
    assert float(losses.detach()) == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(losses.sum(), values)
    assert float(gradient) == pytest.approx(value - 2.0 if moves else 0.0)


def problem(states: int = 4, actions: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, reference log-probabilities and rewards (B, K)."""
    generator = torch.Generator().manual_seed(3)
    logits, references, rewards = torch.randn(
        3, states, actions, dtype=torch.float64, generator=generator
    )
    return logits, references.log_softmax(-1), rewards


def test_the_exact_gradient_is_the_formula() -> None:
    """∂J/∂z_k = π_k(r̃_k − Σ_j π_j r̃_j) with r̃ = r − β log(π/π_ref)."""
    logits, references, rewards = problem()
    beta = 0.3
    logits.requires_grad_()
    loss = exact_losses(logits.log_softmax(-1), references, rewards, beta).sum()
    (gradient,) = torch.autograd.grad(loss, logits)
    policy = logits.detach().log_softmax(-1)
    worth = rewards - beta * (policy - references)
    mean = (policy.exp() * worth).sum(-1, keepdim=True)
    torch.testing.assert_close(gradient, -policy.exp() * (worth - mean))


def test_monte_carlo_agrees_with_the_exact_gradient_within_its_error() -> None:
    """The sampled policy gradient, with k1 in the reward, estimates the exact one."""
    logits, references, rewards = (tensor[:1] for tensor in problem())
    beta, samples = 0.3, 200_000
    logits.requires_grad_()
    exact_loss = exact_losses(logits.log_softmax(-1), references, rewards, beta).sum()
    (exact,) = torch.autograd.grad(exact_loss, logits)
    policy = logits.detach().log_softmax(-1)[0]
    generator = torch.Generator().manual_seed(0)
    actions = torch.multinomial(policy.exp(), samples, replacement=True, generator=generator)
    advantages = (rewards[0] - beta * (policy - references[0]))[actions]
    # −A·∇log π(a), sample by sample: ∇_z log π(a) = onehot(a) − π.
    scores = torch.nn.functional.one_hot(actions, 5).double() - policy.exp()
    draws = -advantages.unsqueeze(1) * scores
    error = draws.std(0) / samples**0.5
    assert bool(((draws.mean(0) - exact[0]).abs() < 4 * error).all())
    # Our loss has that very gradient at ratio 1.
    new = logits.detach()[0].expand(samples, 5).clone().requires_grad_()
    chosen = new.log_softmax(-1).gather(1, actions.unsqueeze(1))
    loss = policy_losses(chosen, chosen.detach(), advantages.unsqueeze(1), 0.2).sum()
    (ours,) = torch.autograd.grad(loss, new)
    torch.testing.assert_close(ours, draws)


def test_with_a_reward_for_the_right_label_the_gradient_is_p_times_that_of_cross_entropy() -> None:
    """Why PPO hardly corrects errors that a classifier is sure of, and SFT comes first."""
    logits, references, _ = problem(states=1)
    logits.requires_grad_()
    right = 2
    rewards = torch.nn.functional.one_hot(torch.tensor([right]), 5).double()
    loss = exact_losses(logits.log_softmax(-1), references, rewards, 0.0).sum()
    (ours,) = torch.autograd.grad(loss, logits)
    entropy = torch.nn.functional.cross_entropy(logits, torch.tensor([right]))
    (theirs,) = torch.autograd.grad(entropy, logits)
    p = float(logits.detach().softmax(-1)[0, right])
    torch.testing.assert_close(ours, p * theirs)
    assert float(ours[0, right]) == pytest.approx(-p * (1 - p))


def test_at_the_known_optimum_the_exact_gradient_vanishes_and_its_value_is_known() -> None:
    _, references, rewards = problem()
    beta = 0.5
    best = (references + rewards / beta).log_softmax(-1)
    logits = best.clone().requires_grad_()
    losses = exact_losses(logits.log_softmax(-1), references, rewards, beta)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert float(gradient.abs().max()) < 1e-12
    torch.testing.assert_close(-losses, beta * (references + rewards / beta).logsumexp(-1))


def test_entropy_is_greatest_for_the_uniform_policy() -> None:
    uniform = torch.full((1, 8), 1 / 8, dtype=torch.float64).log()
    assert float(entropies(uniform)) == pytest.approx(torch.tensor(8.0).log().item())
    logits, references, _ = problem()
    policy = logits.log_softmax(-1)
    cross = -(policy.exp() * references).sum(-1)
    torch.testing.assert_close(entropies(policy), cross - divergence(policy, references))
