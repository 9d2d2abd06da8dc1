"""From a config to rewards that can be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from welltuned.rlhf.rewards.base import Check, RewardSource
from welltuned.rlhf.rewards.functions import RewardFunction
from welltuned.rlhf.rewards.judge import JudgeSource
from welltuned.rlhf.rewards.models import judge_of
from welltuned.schema.import_path import load_callable

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def build_reward(
    source: RewardSource,
    folder: Path | None,
    device: torch.device,
    joint: str = "",
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> RewardFunction:
    """A reward that can be asked for. `folder` is the run of a judge that was trained.

    `joint` stands between prompt and response where a classifier reads both as one text;
    `tokenizer` is the policy's, for those that count its tokens. Raises `InputError` for what is
    wrong with it.
    """
    if isinstance(source, Check):
        source.require()
        scores = source.scorer(tokenizer)
        return RewardFunction(source.name, scores, source.weight, columns=source.needed_columns)
    assert isinstance(source, JudgeSource), "a reward is a judge, or goes by a rule"
    if source.function is not None:
        return RewardFunction(
            source.function,
            load_callable(source.function, "reward"),
            source.weight,
            columns=source.columns,
            time_limit=source.time_limit,
        )
    return judge_of(source, folder, device, joint)
