"""Policy evaluation: responses to held-out prompts, and their rewards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from welltuned.metrics.intervals import bootstrap_interval
from welltuned.rlhf.actors.base import Actor, Rollout
from welltuned.rlhf.actors.classifier import ClassifierActor, TextPrompts
from welltuned.rlhf.kl import divergence
from welltuned.rlhf.prompts import Prompts
from welltuned.rlhf.rewards import Columns
from welltuned.rlhf.rewards.functions import RewardFunction, WeightedReward
from welltuned.rlhf.safeguards import label_facts, text_facts
from welltuned.runs.results_schema import Scores

_SEED = 1
"""Answers at every look are drawn from this seed, so that looks can be compared."""
_PART = 256


@dataclass(frozen=True)
class PolicyEval:
    """N prompts, answered and judged."""

    prompts: list[str]
    responses: list[str]
    rewards_N: np.ndarray
    kl_N: np.ndarray
    """Nats from the reference, per response."""
    second_N: np.ndarray | None
    """What the judge says that training never sees."""
    facts: dict[str, float]
    outputs_NK: np.ndarray | None = None
    """A classifier's log-probabilities."""

    def scores(self, intervals: bool = False) -> Scores:
        """Means, with intervals where asked for, and the facts."""
        columns = {"reward": self.rewards_N, "kl": self.kl_N}
        if self.second_N is not None:
            columns["second_reward"] = self.second_N
        found: Scores = {}
        for name, values_N in columns.items():
            found[name] = float(values_N.mean())
            if intervals:
                found[f"{name}_ci95"] = mean_interval(values_N)
        return found | self.facts

    def rows(self) -> list[dict[str, object]]:
        """One row a response, for files."""
        second_N = [None] * len(self.prompts) if self.second_N is None else self.second_N.tolist()
        columns = (
            self.prompts,
            self.responses,
            self.rewards_N.tolist(),
            self.kl_N.tolist(),
            second_N,
        )
        names = ("prompt", "response", "reward", "kl", "second_reward")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def mean_interval(values_N: np.ndarray) -> list[float]:
    """The 95% interval of a mean, by bootstrap over examples."""
    return bootstrap_interval(lambda drawn, _: float(drawn.mean()), values_N, values_N)


def look(
    actor: Actor, asked: Any, reward: WeightedReward, second: RewardFunction | None = None
) -> PolicyEval:
    """Answers of the policy as it is now.

    A classifier gives its likeliest label, as it does when it is used; a generator draws.
    """
    if isinstance(actor, ClassifierActor):
        return _judged(_labels(actor, asked)[0], reward, second)
    return _judged(_texts(actor, asked), reward, second)


def look_twice(
    actor: Actor, asked: Any, reward: WeightedReward, second: RewardFunction | None = None
) -> tuple[PolicyEval, PolicyEval]:
    """(the policy as it is now, its reference), on the same prompts."""
    if isinstance(actor, ClassifierActor):
        now, then = _labels(actor, asked)
    else:
        now = _texts(actor, asked)
        with actor.reference.acting():
            then = _texts(actor, asked)
    return _judged(now, reward, second), _judged(then, reward, second)


@dataclass(frozen=True)
class _Answers:
    prompts: list[str]
    responses: list[str]
    kl_N: np.ndarray
    facts: dict[str, float]
    columns: Columns
    outputs_NK: np.ndarray | None = None


def _judged(found: _Answers, reward: WeightedReward, second: RewardFunction | None) -> PolicyEval:
    asked = found.prompts, found.responses, found.columns
    return PolicyEval(
        found.prompts,
        found.responses,
        reward(*asked),
        found.kl_N,
        second(*asked) if second is not None else None,
        found.facts,
        found.outputs_NK,
    )


def _labels(actor: ClassifierActor, asked: TextPrompts) -> tuple[_Answers, _Answers]:
    """Of the policy, and of its reference."""
    policy, references, prompts = [], [], list[str]()
    for rollout in _rollouts(actor, asked):
        assert rollout.all_logprobs_BK is not None and rollout.all_references_BK is not None
        policy.append(rollout.all_logprobs_BK)
        references.append(rollout.all_references_BK)
        prompts += rollout.prompts
    references_NK = torch.cat(references)
    now, then = (
        _likeliest(actor.problem.labels, prompts, outputs_NK, references_NK)
        for outputs_NK in (torch.cat(policy), references_NK)
    )
    return replace(now, columns=asked.columns), replace(then, columns=asked.columns)


def _likeliest(
    names: Sequence[str], prompts: list[str], outputs_NK: torch.Tensor, references_NK: torch.Tensor
) -> _Answers:
    responses = [names[label] for label in outputs_NK.argmax(dim=1).tolist()]
    kl_N = divergence(outputs_NK, references_NK).cpu().numpy()
    facts = label_facts(responses, names)
    return _Answers(prompts, responses, kl_N, facts, {}, outputs_NK.cpu().numpy())


def _texts(actor: Actor, asked: Prompts) -> _Answers:
    found = list(_rollouts(actor, asked))
    prompts = [prompt for rollout in found for prompt in rollout.prompts]
    responses = [response for rollout in found for response in rollout.responses]
    lengths = [length for rollout in found for length in rollout.mask_BT.sum(dim=1).tolist()]
    ended = [flag for rollout in found for flag in rollout.ended_B.tolist()]
    kl_N = np.concatenate([rollout.kl().cpu().numpy() for rollout in found])
    facts = text_facts(responses, lengths, ended)
    return _Answers(prompts, responses, kl_N, facts, asked.columns)


def _rollouts(actor: Actor, asked: Any) -> Iterator[Rollout]:
    """A part of the prompts at a time: states of a whole split would not fit."""
    generator = torch.Generator().manual_seed(_SEED)
    for start in range(0, len(asked), _PART):
        part = range(start, min(start + _PART, len(asked)))
        yield actor.rollout(asked.take(part), generator)
