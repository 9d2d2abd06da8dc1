"""Default hyper-parameters by strategy, kind and size of model, each with its source.

The values stand in `defaults.yaml`. Whoever asks for `auto` gets a number and
is told where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from welltuned.engines.config import TrainingConfig
from welltuned.models.anatomy import Anatomy
from welltuned.strategies import Strategy

_FILE = Path(__file__).parent / "defaults.yaml"


@dataclass(frozen=True)
class Choice:
    """One hyper-parameter that was chosen for the user."""

    name: str
    value: float
    source: str

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g} ({self.source})"


@cache
def _defaults() -> dict[str, list[dict[str, Any]]]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def defaults_for(strategy: str, anatomy: Anatomy) -> dict[str, Any]:
    """The first entry of the strategy whose kind and size fit the model."""
    for entry in _defaults()[strategy]:
        if entry["kind"] == anatomy.kind and anatomy.parameters <= float(entry.get("parameters_up_to", "inf")):
            return entry
    raise LookupError(f"defaults.yaml has no entry for {strategy} on a {anatomy.kind}")


def resolve(training: TrainingConfig, strategy: Strategy, anatomy: Anatomy) -> tuple[TrainingConfig, Strategy, list[Choice]]:
    """Put numbers in place of every `auto`. Returns the finished parts and what was chosen."""
    entry = defaults_for(strategy.type, anatomy)
    choices: list[Choice] = []

    def fill(part: TrainingConfig | Strategy, names: list[str]) -> dict[str, Any]:
        update: dict[str, Any] = {}
        for name in names:
            if getattr(part, name) == "auto":
                update[name] = float(entry[name])
                choices.append(Choice(name, update[name], entry["source"]))
        return update

    names = ["learning_rate", "warmup_ratio", "weight_decay"]
    if training.max_steps is None:
        names.append("num_train_epochs")
    finished = training.model_copy(update=fill(training, names))
    return finished, strategy.model_copy(update=fill(strategy, ["head_learning_rate_scale"])), choices
