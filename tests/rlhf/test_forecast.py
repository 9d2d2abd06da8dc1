"""A pipeline's plan: every stage, and in PPO every role beside what it really took."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import SHORT, generation, values_of
from support import STRATEGIES, make_preferences, write_rows
from welltuned.rlhf import pipeline
from welltuned.rlhf.forecast import plan_pipeline
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.runs import Run
from welltuned.training.forecast.limits import Limits
from welltuned.training.forecast.plan import ResourcePlan

Values = Callable[..., dict[str, Any]]


@pytest.fixture
def values(causal: Any, stories: str, tmp_path: Path) -> Values:
    """A pipeline of a language model, with a reward model to be trained where asked for."""
    pairs = write_rows(tmp_path / "pairs.jsonl", make_preferences(40))

    def make(strategy: str, trained: bool = True, **ppo: Any) -> dict[str, Any]:
        reward: Any = {"function": "my_judges.wants_good"}
        if trained:
            reward = {"data": pairs, "training": SHORT, "evaluation": {"untrained": False}}
        made = generation(causal("llama"), stories, tmp_path / "run", ppo=ppo)
        return {**made, "strategy": STRATEGIES[strategy], "reward": reward}

    return make


def plan(values: dict[str, Any], **limits: Any) -> ResourcePlan:
    return plan_pipeline(rlhf_config_from(values), Limits(**limits), lambda *_: None)


@pytest.mark.usefixtures("known")
def test_a_judge_on_the_policys_backbone_costs_its_adapter_alone(values: Values) -> None:
    lora, full = plan(values("lora")), plan(values("full"))
    assert [row.name for row in lora.rows] == ["sft: lora", "reward: lora", "rl: lora"]
    assert all(row.forecast and row.forecast.train_seconds > 0 for row in lora.rows)
    shared, whole = lora.rows[-1].forecast, full.rows[-1].forecast
    assert shared is not None and whole is not None
    assert shared.memory.roles["reward"] < whole.memory.roles["reward"] / 2
    assert whole.memory.roles["reference"] == 4 * whole.trainable


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("strategy", ["lora", pytest.param("full", marks=pytest.mark.slow)])
def test_roles_weigh_what_was_foreseen(strategy: str, values: Values) -> None:
    asked = values(strategy, allow_weak_reward=True)
    made = plan(asked)
    run = pipeline.run_pipeline(rlhf_config_from(asked))
    results = Run.open(run.folder / "stages" / "rl").results
    real, foreseen = results["memory"]["roles"], made.rows[-1].forecast
    assert foreseen is not None
    roles = foreseen.memory.roles
    assert roles.get("reference", 0) == real["reference"]
    assert roles["reward"] == pytest.approx(real["reward"], rel=0.05)
    assert foreseen.memory.weights == pytest.approx(real["policy"], rel=0.05)
    three = foreseen.memory.optimizer * 1.5
    assert three == pytest.approx(real["gradients and optimizer"], rel=0.05)


@pytest.mark.usefixtures("known")
def test_the_command_knows_pipelines(call: Any, values: Values, tmp_path: Path) -> None:
    file = tmp_path / "rlhf.yaml"
    file.write_text(yaml.safe_dump(values("lora")))
    status, out, err = call("plan", file, "memory=1kB")
    assert status == 0, err
    assert "rl: lora" in out and "reward" in out and "no: memory" in out
    assert "lower rl.per_device_train_batch_size" in out
    found = json.loads(call("plan", file, "--json")[1])
    assert [row["name"] for row in found["stages"]] == ["sft: lora", "reward: lora", "rl: lora"]


@pytest.mark.usefixtures("known")
def test_a_classifier_as_policy_is_foreseen_too(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    made = plan(values_of(tiny("bert"), sentiment, tmp_path / "run"))
    assert [row.name for row in made.rows] == ["sft: lora", "rl: lora"]
    assert made.rows[-1].fits
