"""What folders of RL say, as they are written today and as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from welltuned.reports import rl_folder
from welltuned.runs import Run

TODAY = {"stage": "rl", "rl": {"type": "ppo", "kl_coef": 0.1}, "title": "PPO", "sft": None}
EARLIER = {"stage": "ppo", "ppo": {"kl_coef": 0.1}, "sft": None}


def run_with(folder: Path, config: dict[str, object]) -> Run:
    run = Run.create(folder / "run")
    run.write("config.yaml", config)
    return run


@pytest.mark.parametrize("config", [TODAY, EARLIER], ids=["today", "earlier"])
def test_a_stage_has_its_options_and_its_title(config: dict[str, object], tmp_path: Path) -> None:
    run = run_with(tmp_path, config)
    assert rl_folder.is_stage(run.config)
    assert rl_folder.stage_config(run) == TODAY


def test_other_runs_are_no_stage(tmp_path: Path) -> None:
    assert not rl_folder.is_stage(run_with(tmp_path, {"strategy": {"type": "lora"}}).config)


@pytest.mark.parametrize("name", ["rl", "ppo"])
def test_the_stage_of_a_pipeline_is_found(name: str, tmp_path: Path) -> None:
    run = run_with(tmp_path, {"pipeline": "rlhf"})
    stages: dict[str, object] = {"sft": None, "reward": [], name: f"stages/{name}"}
    run.write("results.json", {"stages": stages})
    assert rl_folder.stage_folder(run) == run.folder / "stages" / name


@pytest.mark.parametrize(
    ("task", "writes"),
    [
        ({"actions": "text", "labels": []}, True),
        ({"actions": "label", "labels": ["a", "b"]}, False),
        ({"problem": "generation"}, True),
        ({"problem": "single_label", "labels": ["a", "b"]}, False),
    ],
)
def test_what_a_policy_chooses_follows_from_its_facts(
    task: dict[str, object], writes: bool
) -> None:
    assert rl_folder.writes_text(task) == writes
