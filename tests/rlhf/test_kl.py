"""Divergence and its coefficient."""

from __future__ import annotations

import math

import pytest
import torch

from welltuned.rlhf.kl import KLCoefficient, divergence, k1, k3


def policies() -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities (K) of two policies over five actions."""
    torch.manual_seed(0)
    one, other = torch.randn(2, 5, dtype=torch.float64).log_softmax(-1)
    return one, other


def test_o7_k1_and_k3_are_unbiased_estimates_of_the_divergence() -> None:
    policy_K, reference_K = policies()
    shares_K = policy_K.exp()
    exact = float(divergence(policy_K, reference_K))
    assert exact == pytest.approx(float((shares_K * (policy_K - reference_K)).sum()))
    assert exact > 0.1
    for estimate in (k1, k3):
        assert float((shares_K * estimate(policy_K, reference_K)).sum()) == pytest.approx(exact)
    assert bool((k3(policy_K, reference_K) > 0).all())
    assert bool((k1(policy_K, reference_K) < 0).any())


def test_o7_as_a_loss_k1_would_teach_nothing() -> None:
    """E[∇k1] = 0: why the divergence enters the reward."""
    logits_K = torch.randn(5, dtype=torch.float64, requires_grad=True)
    logprobs_K = logits_K.log_softmax(-1)
    reference_K = policies()[1]
    expected = (logprobs_K.detach().exp() * k1(logprobs_K, reference_K)).sum()
    (gradient_K,) = torch.autograd.grad(expected, logits_K)
    assert float(gradient_K.abs().max()) < 1e-12
    # As a reward it does: the score function's gradient is that of the divergence.
    again_K = logits_K.log_softmax(-1)
    weight_K = k1(again_K, reference_K).detach()
    surrogate = (again_K.detach().exp() * weight_K * again_K).sum()
    (as_reward_K,) = torch.autograd.grad(surrogate, logits_K)
    (true_K,) = torch.autograd.grad(divergence(logits_K.log_softmax(-1), reference_K), logits_K)
    torch.testing.assert_close(as_reward_K, true_K)


def test_o8_the_adaptive_coefficient_moves_as_published() -> None:
    coefficient = KLCoefficient(0.1, target=6, horizon=10_000)
    coefficient.update(12, 256)
    assert coefficient.value / 0.1 == pytest.approx(1.00512, abs=1e-9)


@pytest.mark.parametrize(
    ("kl", "factor"), [(6, 1), (6.6, 1 + 0.1 * 0.01), (0, 1 - 0.2 * 0.01), (1e9, 1 + 0.2 * 0.01)]
)
def test_o8_the_error_is_clipped_to_a_fifth(kl: float, factor: float) -> None:
    coefficient = KLCoefficient(1.0, target=6, horizon=10_000)
    coefficient.update(kl, 100)
    assert math.isclose(coefficient.value, factor, rel_tol=1e-12)


def test_without_a_target_the_coefficient_is_fixed() -> None:
    coefficient = KLCoefficient(0.3)
    coefficient.update(1e9, 1000)
    assert coefficient.value == 0.3
