"""What folders of RL say, those of earlier releases too.

While there was one algorithm alone, its stage was called by its name: `stage: NAME` in
config.yaml, its options under that key, and no title. data.json told the task, and not what the
policy chooses.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

from welltuned.runs import Run

STAGE = "rl"
_OTHER_STAGES = {"sft", "reward"}


class ModelName(TypedDict):
    """The part `model` of a config, as far as reports read it."""

    name: str


class StageConfig(TypedDict):
    """config.yaml of an RL stage."""

    stage: str
    title: str
    """What people call the algorithm."""
    rl: dict[str, object]
    model: ModelName
    strategy: dict[str, object]
    sft: str | None


def is_stage(config: Mapping[str, object]) -> bool:
    """Whether a config is that of an RL stage; other runs say no stage."""
    return "stage" in config


def stage_config(run: Run) -> StageConfig:
    """The config of an RL stage, with its options under `rl`, and a title."""
    config: Any = run.config
    name = str(config["stage"])
    if name == STAGE:
        return cast(StageConfig, config)
    rest = {key: value for key, value in config.items() if key != name}
    options = {"type": name, **config[name]}
    upgraded = {**rest, "stage": STAGE, STAGE: options, "title": name.upper()}
    return cast(StageConfig, upgraded)


def stage_folder(pipeline: Run) -> Path:
    """Where the RL stage of a finished pipeline is."""
    stages: Mapping[str, Any] = pipeline.results["stages"]
    (name,) = stages.keys() - _OTHER_STAGES
    return pipeline.folder / stages[name]


def writes_text(task: Mapping[str, object]) -> bool:
    """Whether the policy writes text, from the facts of its task, or chooses a label."""
    return task["actions"] == "text" if "actions" in task else "labels" not in task
