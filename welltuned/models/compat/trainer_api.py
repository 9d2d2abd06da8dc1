"""transformers' `Trainer`, as far as what it does by itself has to be ours."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer
from transformers.trainer_callback import TrainerState

_STATE = "trainer_state.json"
"""Where Trainer looks for how far a training was."""


class NormTrainer(Trainer):
    """A `Trainer` that is told the gradient's norm and given its schedule.

    One that goes on after some steps is told their number alone: its data loader begins with the
    next one, and weights, optimizer and random numbers are put back by whoever made it.
    """

    norm = 0.0
    """The norm of the last step's gradient, to be logged as it is."""

    def keep_schedule(self, schedule: LambdaLR) -> LambdaLR:
        """Use this schedule as if Trainer had made it."""
        self.lr_scheduler = schedule
        self._created_lr_scheduler = True
        return schedule

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> float:
        return self.norm

    def train_after(self, taken: int) -> None:
        """Train, the first steps being taken."""
        if not taken:
            self.train()
            return
        told = {
            name: getattr(self.args, name)
            for name in ("train_batch_size", "logging_steps", "eval_steps", "save_steps")
        }
        with tempfile.TemporaryDirectory() as folder:
            TrainerState(global_step=taken, **told).save_to_json(str(Path(folder) / _STATE))
            self.train(resume_from_checkpoint=folder)

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _load_optimizer_and_scheduler(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _load_scaler(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _load_rng_state(self, *args: Any, **kwargs: Any) -> None:
        pass
