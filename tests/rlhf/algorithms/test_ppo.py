"""PPO on a table, where the answer is known; `test_published` has its arithmetic."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from tabular import BETA, REFERENCES, REWARDS, distance, learn
from welltuned.rlhf.algorithms.ppo import Ppo


def test_sampled_ppo_reaches_the_known_optimum_of_a_bandit() -> None:
    """π* ∝ π_ref · e^(r/β), to 1e-3."""
    learner, stats = learn(300, 600, learning_rate=0.05)
    assert distance(learner) < 1e-3
    # The value learned is the optimum's too: β · log Σ π_ref e^(r/β).
    optimum = BETA * (REFERENCES.log_softmax(-1) + REWARDS / BETA).logsumexp(-1)
    values = learner.actor._values(torch.arange(3)).detach()  # type: ignore[attr-defined]
    torch.testing.assert_close(values, optimum, rtol=0, atol=2e-2)
    assert stats[0].kl == 0 and stats[-1].kl > 0.5
    foreseen = [batch.own["explained_variance"] for batch in stats]
    assert foreseen[-1] > 0.5 > foreseen[0]


def test_what_was_its_option_is_an_algorithm_of_its_own() -> None:
    with pytest.raises(ValidationError, match="the exact gradient is an algorithm of its own"):
        Ppo.model_validate({"gradient": "exact"})
