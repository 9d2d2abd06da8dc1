"""Groups of responses to one prompt: what they need."""

from __future__ import annotations

from typing import Any

import pytest

import welltuned as wt
from faults import refused
from tabular import BETA, learn
from welltuned.rlhf.algorithms.grpo import Grpo
from welltuned.rlhf.algorithms.rloo import Rloo


@pytest.mark.parametrize("name", ["grpo", "rloo"])
def test_a_group_of_one_is_refused_before_anything_is_loaded(name: str) -> None:
    with refused("rlhf.group_of_one", number=1):
        wt.rl.start("nowhere", total_batches=1, type=name, num_generations=1)
    with refused("rlhf.batch_not_of_groups", batch_size=60, samples_per_prompt=8):
        wt.rl.start("nowhere", total_batches=1, type=name, num_generations=8, batch_size=60)


@pytest.mark.parametrize("kind", [Grpo, Rloo])
def test_each_prompt_is_answered_by_its_whole_group(kind: Any) -> None:
    algorithm = kind(learning_rate=0.1, batch_size=12, num_generations=4, kl_coef=BETA)
    learner, stats = learn(1, 12, algorithm=algorithm)
    assert learner.rollout([7 % 3, 1]).prompts == ["1"] * 8
    assert 0 <= stats[0].own["equal_groups"] <= 1
