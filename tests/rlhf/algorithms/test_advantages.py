"""Rewards, whitening and GAE, against sums written out."""

from __future__ import annotations

import pytest
import torch

from welltuned.rlhf.algorithms.advantages import (
    gae,
    last_tokens,
    masked_mean,
    token_rewards,
    whiten,
)

LENGTHS = torch.tensor([5, 1, 3])
MASK = torch.arange(5) < LENGTHS.unsqueeze(1)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Rewards and values (3, 5), zero beyond the responses' ends."""
    torch.manual_seed(seed)
    rewards, values = torch.randn(2, 3, 5, dtype=torch.float64).unbind(0)
    return rewards * MASK, values * MASK


def brute_force(rewards: torch.Tensor, values: torch.Tensor, g: float, lam: float) -> torch.Tensor:
    """The definition: A_t = Σ_l (γλ)^l δ_{t+l}, row by row, up to the row's own end."""
    advantages = torch.zeros_like(rewards)
    for row, length in enumerate(LENGTHS.tolist()):
        r, v = rewards[row].tolist(), [*values[row].tolist()[:length], 0.0]
        deltas = [r[t] + g * v[t + 1] - v[t] for t in range(length)]
        for t in range(length):
            advantages[row, t] = sum((g * lam) ** (i - t) * deltas[i] for i in range(t, length))
    return advantages


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (0.99, 0.0)])
def test_o4_gae_is_the_sum_of_its_definition(gamma: float, lam: float) -> None:
    rewards, values = batch()
    torch.testing.assert_close(
        gae(rewards, values, gamma, lam), brute_force(rewards, values, gamma, lam)
    )


def test_o4_with_lambda_one_the_advantage_is_the_return_minus_the_value() -> None:
    rewards, values = batch()
    to_come = rewards.flip(1).cumsum(1).flip(1)
    torch.testing.assert_close(gae(rewards, values, 1.0, 1.0), (to_come - values) * MASK)


def test_o4_with_lambda_zero_it_is_the_one_step_error() -> None:
    rewards, values = batch()
    following = torch.cat([values[:, 1:], torch.zeros(3, 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(gae(rewards, values, 0.9, 0.0), rewards + 0.9 * following - values)


def test_o9_beyond_the_end_there_is_nothing() -> None:
    rewards, values = batch()
    assert not gae(rewards, values, 1.0, 0.95)[~MASK].any()
    # And nothing that stands there would flow back: the last advantage knows its own reward alone.
    last = gae(rewards, values, 1.0, 0.95)[torch.arange(3), last_tokens(MASK)]
    torch.testing.assert_close(last, (rewards - values)[torch.arange(3), last_tokens(MASK)])


def test_a_score_stands_at_the_last_token_and_the_divergence_at_every_one() -> None:
    kl = torch.full((3, 5), 0.5).masked_fill(~MASK, 0)
    ends = last_tokens(MASK)
    assert ends.tolist() == [4, 0, 2]
    rewards = token_rewards(kl, torch.tensor([1.0, 2.0, 3.0]), ends, 0.1)
    expected = -0.05 * MASK.float()
    expected[torch.arange(3), ends] += torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(rewards, expected)


def test_o6_whitening_looks_at_valid_tokens_only_and_has_the_unbiased_variance() -> None:
    values = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    valid = values[MASK]
    whitened = whiten(values.masked_fill(~MASK, 1e6), MASK)
    torch.testing.assert_close(
        whitened[MASK], (valid - valid.mean()) / valid.std(), rtol=1e-6, atol=1e-6
    )
    assert not whitened[~MASK].any()


def test_o6_rewards_keep_their_mean() -> None:
    values = 7 + torch.randn(3, 5, dtype=torch.float64)
    kept = whiten(values, MASK, shift_mean=False)
    assert float(masked_mean(kept, MASK)) == pytest.approx(float(values[MASK].mean()))
    assert float(kept[MASK].std()) == pytest.approx(1.0, abs=1e-6)


def test_a_single_token_is_not_whitened_away_to_nan() -> None:
    one = torch.zeros(1, 3, dtype=torch.bool)
    one[0, 0] = True
    assert whiten(torch.full((1, 3), 2.0), one).tolist() == [[2.0, 0.0, 0.0]]
