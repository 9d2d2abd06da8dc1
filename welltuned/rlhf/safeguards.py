"""Safeguards: signs of reward hacking, and of divergence.

A policy finds whatever a judge rewards, sense or not. Where length, repetition, missing ends
or a second judge drift while the reward climbs, people should look at the samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from welltuned.errors import Fault
from welltuned.metrics.text import words

if TYPE_CHECKING:
    from welltuned.rlhf.learner import Stats

_FAR = 20.0
"""Deviations of the first rewards beyond which a mean reward counts as an explosion."""
_BEYOND_CHANCE = 5.0
"""Standard errors below zero beyond which a divergence cannot be negative by chance."""


def text_facts(
    responses: Sequence[str], lengths: Sequence[int], ended: Sequence[bool]
) -> dict[str, float]:
    """Facts about N responses that a judge may not see.

    length: tokens on average; eos_rate: the share that ended by themselves; empty: the share
    without a word; distinct_1 and distinct_2: different words, and pairs of words, over all
    of them; repetition: the share of a response's triples that it had said before.
    """
    said = [words(response) for response in responses]
    return {
        "length": float(np.mean(lengths)),
        "eos_rate": float(np.mean(ended)),
        "empty": float(np.mean([not tokens for tokens in said])),
        "distinct_1": _distinct([(word,) for tokens in said for word in tokens]),
        "distinct_2": _distinct([pair for tokens in said for pair in pairwise(tokens)]),
        "repetition": float(np.mean([_repetition(tokens) for tokens in said])),
    }


def label_facts(responses: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """The share of each label among N responses: `share.NAME`."""
    counts = Counter(responses)
    return {f"share.{name}": counts[name] / max(len(responses), 1) for name in names}


def _distinct(ngrams: Sequence[tuple[str, ...]]) -> float:
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def _repetition(tokens: Sequence[str]) -> float:
    triples = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return 1 - len(set(triples)) / len(triples) if triples else 0.0


@dataclass
class Safeguards:
    """Says when training has left the range in which its numbers mean anything."""

    max_kl: float
    first_reward: float | None = None
    first_deviation: float = 0.0

    def trouble(self, stats: Stats) -> Fault | None:
        """What has exploded; None when nothing has."""
        if self.first_reward is None:
            self.first_reward, self.first_deviation = stats.reward, stats.reward_deviation
        if stats.kl > self.max_kl:
            return Fault(
                "rlhf.kl_too_large",
                "the policy is {kl:.1f} nats per response away from its reference, beyond "
                "rl.max_kl = {max_kl:g}",
                kl=stats.kl,
                max_kl=self.max_kl,
            )
        if stats.kl < -_BEYOND_CHANCE * stats.kl_error - 1e-3:
            return Fault(
                "rlhf.kl_negative",
                "the KL estimate is {kl:.3f} ± {error:.3f}, and KL cannot be negative: "
                "log-probabilities as recorded in sampling and as recomputed differ",
                kl=stats.kl,
                error=stats.kl_error,
            )
        away = abs(stats.reward - self.first_reward)
        if self.first_deviation and away > _FAR * self.first_deviation:
            return Fault(
                "rlhf.reward_far_from_start",
                "the mean reward went from {first:.2f} to {now:.2f}, over {times:g} times its "
                "first standard deviation: the responses have probably left what the reward "
                "model was trained on",
                first=self.first_reward,
                now=stats.reward,
                times=_FAR,
            )
        return None
