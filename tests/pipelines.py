"""Pipelines of three runs that are over in seconds, for tests of RLHF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support import STRATEGIES

SHORT: dict[str, Any] = {
    "num_train_epochs": 1,
    "learning_rate": 3e-3,
    "precision": "fp32",
    "device": "cpu",
    "eval_strategy": "no",
    "load_best_model_at_end": False,
}


def values_of(model: str, data: str, folder: Path, **changes: Any) -> dict[str, Any]:
    """A classification pipeline of a few batches."""
    ppo = {"batch_size": 16, "total_episodes": 96, "learning_rate": 3e-3, "eval_steps": 2}
    values: dict[str, Any] = {
        "pipeline": "rlhf",
        "model": model,
        "data": data,
        "task": {"pooling": "mean"},
        "strategy": STRATEGIES["lora"],
        "sft": {"training": SHORT, "evaluation": {"untrained": False}},
        "reward": {"function": "my_judges.wants_negative"},
        "output_dir": str(folder),
    }
    return {**values, **changes, "ppo": {"device": "cpu", **ppo, **changes.get("ppo", {})}}


def generation(model: str, data: str, folder: Path, **changes: Any) -> dict[str, Any]:
    task = {"type": "generation", "decoding": {"max_new_tokens": 6}, "scored_examples": 2}
    ppo = {"response_length": 6, "prompt_length": 3, **changes.pop("ppo", {})}
    reward = {"function": "my_judges.wants_good"}
    return values_of(model, data, folder, **{"task": task, "reward": reward, **changes}, ppo=ppo)
