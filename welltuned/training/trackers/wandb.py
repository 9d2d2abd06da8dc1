"""Weights & Biases, by its own settings: `wandb login`, `WANDB_PROJECT`, `WANDB_MODE=offline`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from welltuned.training.trackers.base import PROJECT, End, TrackedRun, Tracker

_STEP = "step"


class WeightsAndBiases(Tracker):
    """Told of numbers and the config alone: no output, no command line, no code."""

    package: ClassVar[str] = "wandb"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: TrackedRun) -> str:
        import wandb

        name = run.known_as or uuid4().hex
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            group=run.group,
            id=name,
            resume="allow",
            reinit="create_new",  # a run of the program's own goes on beside it
            config=dict(run.config),
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                save_code=False,
                x_disable_meta=True,  # the command line may hold a token
            ),
        )
        # Its own count of steps never goes back, as that of a run that goes on may.
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        return name

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log({_STEP: step, **numbers})

    def conclude(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.summary.update(dict(numbers))

    def end(self, how: End) -> None:
        self._run.finish(exit_code=0 if how == "finished" else 1)
