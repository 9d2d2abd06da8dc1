"""What our `Trainer` sets behind its back is still read by it."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from welltuned.models.compat.trainer_api import NormTrainer


class Told(NormTrainer):
    """Trains one weight, with a schedule and a norm of its own."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        chosen: Any = optimizer or self.optimizer
        return self.keep_schedule(torch.optim.lr_scheduler.LambdaLR(chosen, lambda step: 1.0))

    def training_step(self, model: Any, inputs: Any, *rest: Any) -> torch.Tensor:
        self.norm = 12.5
        return super().training_step(model, inputs, *rest)


class Line(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((self.weight * x - 1) ** 2).mean()}


def test_norm_and_schedule_are_ours(tmp_path: Any) -> None:
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, logging_steps=1, max_grad_norm=1.0,
        save_strategy="no", report_to=[], disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    trainer = Told(model=Line(), args=arguments, train_dataset=[{"x": torch.ones(1)}] * 8)
    trainer.train()
    logged = [row["grad_norm"] for row in trainer.state.log_history if "grad_norm" in row]
    assert logged == [12.5, 12.5]
    assert isinstance(trainer.lr_scheduler, torch.optim.lr_scheduler.LambdaLR)


def test_trainer_still_has_both_names() -> None:
    assert "_created_lr_scheduler" in inspect.getsource(Trainer)
    parameters = inspect.signature(Trainer._get_grad_norm).parameters
    assert list(parameters) == ["self", "model", "grad_norm"]
