"""Reward set: the training reward, and a held-out reward the policy never optimises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from welltuned.errors import Fault, InputError, Place
from welltuned.rlhf.algorithms import Algorithm
from welltuned.rlhf.reward_check import weakness
from welltuned.rlhf.rewards import RewardSource
from welltuned.rlhf.rewards.build import build_reward
from welltuned.rlhf.rewards.functions import RewardFunction, WeightedReward
from welltuned.runs import Run
from welltuned.tasks import Problem

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class RewardSet:
    """The reward, and a second opinion."""

    reward: WeightedReward
    second: RewardFunction | None

    @classmethod
    def load(
        cls,
        sources: Sequence[tuple[RewardSource, Path | None]],
        algorithm: Algorithm,
        problem: Problem,
        device: torch.device,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> RewardSet:
        """Each source with the run it was trained in, if it was; `tokenizer` is the policy's.

        Raises `InputError`.
        """
        joint = "\n" if problem.prompter is None else problem.prompter.joint
        parts = device, joint, tokenizer
        judges = [build_reward(source, folder, *parts) for source, folder in sources]
        second = algorithm.second_reward
        other = build_reward(second, None, *parts) if second is not None else None
        return cls(WeightedReward(tuple(judges)), other)

    def notes(self, policy: PreTrainedTokenizerBase) -> list[str]:
        """What a person should know of judges, given the policy's tokenizer."""
        others = [
            judge.name
            for judge in self.every
            if judge.tokenizer is not None and judge.tokenizer.get_vocab() != policy.get_vocab()
        ]
        return [
            f"'{name}' has a tokenizer of its own: it reads the policy's answers as text."
            for name in others
        ]

    @property
    def every(self) -> list[RewardFunction]:
        """Those of the reward, and the second one."""
        return [*self.reward.judges, *([self.second] if self.second is not None else [])]

    @property
    def models(self) -> list[nn.Module]:
        """The models behind them."""
        return [judge.model for judge in self.every if judge.model is not None]


def judged_in(source: RewardSource, folder: Path | None) -> Path | None:
    """The run that made a judge, trained in this pipeline or before; None where there is none."""
    named = source.made_in(folder)
    return named if named is not None and (named / "results.json").exists() else None


def require_knowledge(sources: Sequence[tuple[RewardSource, Path | None]]) -> None:
    """Raise `InputError` when a judge is no better than chance on its own test split."""
    for source, folder in sources:
        place = judged_in(source, folder)
        if place is None:
            continue
        told = weakness(Run(place))
        if told is not None:
            raise InputError(
                Fault(
                    "rlhf.reward_no_better_than_chance",
                    "the reward model is no better than chance: {evidence}",
                    Place(str(place)),
                    "give it more or better data, or set rl.allow_weak_reward=true to go on",
                    evidence=told,
                )
            )
