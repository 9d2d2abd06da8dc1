"""The reward and the one that training never sees, as a stage loads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import welltuned as wt
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.reward_set import RewardSet
from welltuned.rlhf.rewards import JudgeSource
from welltuned.rlhf.rewards.functions import RewardFunction, WeightedReward
from welltuned.runs import Run

CPU = torch.device("cpu")
PROMPTS, RESPONSES = ["the film ", "the room "], ["was good and great", "was bad"]


def test_a_judge_with_another_tokenizer_is_noted_and_reads_text(
    classified: Callable[..., Run], told: Callable[..., Run]
) -> None:
    judge = JudgeSource(run=str(classified("full").folder), label="positive")
    alike, other = wt.load(classified("lora")), wt.load(told("full", "qwen2"))
    judges = RewardSet.load([(judge, None)], Ppo(), other.problem, CPU)
    assert judges.notes(alike.tokenizer) == []
    assert "has a tokenizer of its own" in judges.notes(other.tokenizer)[0]
    mine = RewardSet(WeightedReward((RewardFunction("mine", lambda p, r: [0.0] * len(r)),)), None)
    assert mine.notes(other.tokenizer) == []


def test_a_classifier_reads_an_answer_after_a_line_break_and_a_text_as_it_goes_on(
    classified: Callable[..., Run], told: Callable[..., Run]
) -> None:
    run = classified("full")
    judge = JudgeSource(run=str(run.folder), label="positive")
    for problem, joint in ((wt.load(told("full")).problem, ""), (wt.load(run).problem, "\n")):
        judges = RewardSet.load([(judge, None)], Ppo(), problem, CPU)
        texts = [p + joint + r for p, r in zip(PROMPTS, RESPONSES, strict=True)]
        predictor = wt.load(run)
        logits = predictor.outputs(predictor.problem.codec.records_of(texts))
        found = judges.reward(PROMPTS, RESPONSES)
        np.testing.assert_allclose(found, logits[:, 1] - logits[:, 0], atol=1e-5)
