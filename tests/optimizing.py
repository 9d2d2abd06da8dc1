"""Optimizers of one's own, and the numbers to build one with."""

from __future__ import annotations

from typing import Any

import torch

from welltuned.engines.config import ResolvedTraining, TrainingConfig


def optimizer_training(**asked: Any) -> ResolvedTraining:
    """A learning rate of 0.1, a decay of 0.5, and what is asked for."""
    numbers = {"learning_rate": 0.1, "weight_decay": 0.5, "warmup_ratio": 0.0}
    whole = {**numbers, "max_steps": 3, "metric_for_best_model": "f1", **asked}
    return TrainingConfig.model_validate(whole).resolved()


class Own(torch.optim.SGD):
    """One that can be used."""


class Hoarding(torch.optim.SGD):
    """One that keeps what no file holds."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["history"] = [parameter.detach()]
        return super().step(closure)


class Undecayed(torch.optim.Optimizer):
    """One without weight decay."""

    def __init__(self, params: Any, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        return None
