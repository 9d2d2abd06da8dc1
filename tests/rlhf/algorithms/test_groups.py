"""Groups of responses to one prompt: what they need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import refused
from pipelines import generation
from tabular import BETA, learn
from welltuned.rlhf.algorithms.grpo import Grpo
from welltuned.rlhf.algorithms.rloo import Rloo
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.runs import Run


@pytest.mark.parametrize("name", ["grpo", "rloo"])
def test_a_group_of_one_is_refused_before_anything_is_loaded(name: str) -> None:
    with refused("rlhf.group_of_one", number=1):
        wt.rl.start("nowhere", total_batches=1, type=name, num_generations=1)
    with refused("rlhf.batch_not_of_groups", batch_size=60, samples_per_prompt=8):
        wt.rl.start("nowhere", total_batches=1, type=name, num_generations=8, batch_size=60)


@pytest.mark.parametrize("name", ["grpo", pytest.param("rloo", marks=pytest.mark.slow)])
def test_with_a_function_as_the_reward_a_pipeline_trains_nothing_else(
    name: str, causal: Callable[..., str], stories: str, tmp_path: Path
) -> None:
    """From the pretrained generator on, named by one word."""
    values = generation(causal("llama"), stories, tmp_path / "run", sft="skip")
    shared = {**values.pop("ppo"), "num_generations": 4, "total_episodes": 32}
    run = wt.train({**values, "rl": {"type": name, **shared}})
    last = Run(run.folder / "stages" / "rl")
    assert [child.name for child in (run.folder / "stages").iterdir()] == ["rl"]
    assert "value" not in last.results["memory"]["roles"]
    rows = [row for row in last.read_lines("metrics.jsonl") if row["split"] == "train"]
    assert [row["episodes"] for row in rows] == [16, 32]
    assert all(0 <= row["equal_groups"] <= 1 for row in rows)
    assert ("kl_loss" in rows[0]) == (name == "grpo")
    assert name.upper() in last.report.read_text(encoding="utf-8")


def test_one_word_is_an_algorithm() -> None:
    values = {"model": "m", "data": "d.csv", "task": "generation", "reward": {"function": "a.b"}}
    assert rlhf_config_from({**values, "rl": "grpo"}).rl == Grpo()
    assert rlhf_config_from({**values, "rloo": {"epsilon": 0.1}}).rl == Rloo(epsilon=0.1)


@pytest.mark.parametrize("kind", [Grpo, Rloo])
def test_each_prompt_is_answered_by_its_whole_group(kind: Any) -> None:
    algorithm = kind(learning_rate=0.1, batch_size=12, num_generations=4, kl_coef=BETA)
    learner, stats = learn(1, 12, algorithm=algorithm)
    assert learner.rollout([7 % 3, 1]).prompts == ["1"] * 8
    assert 0 <= stats[0].own["equal_groups"] <= 1
