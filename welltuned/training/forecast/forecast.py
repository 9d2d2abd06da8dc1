"""Forecast of one run: memory, time and disk, from a rehearsal of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizers.facts import FLOAT
from welltuned.strategies import Strategy
from welltuned.strategies.base import END
from welltuned.training.forecast.frozen_states import FrozenStates
from welltuned.training.forecast.memory import MemoryForecast, foresee_memory, keeps
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.step_counts import StepCounts, largest_look, positions
from welltuned.training.forecast.time import (
    EvalRehearsal,
    evaluation_seconds,
    forecast_precision,
    reading_seconds,
    train_seconds,
)
from welltuned.training.preparation.prepare import RunPlan

_TOKENIZER_FILES = ("tokenizer", "vocab", "merges", "special_tokens", "spiece", "added_tokens")


@dataclass(frozen=True)
class Forecast:
    """What a run will cost."""

    strategy: str
    parameters: int
    trainable: int
    memory: MemoryForecast
    precision: str
    """What forward and backward passes compute in: `fp32` or `bf16`."""
    steps: int
    """Of AdamW; 0 where L-BFGS goes on until nothing is left to be gained."""
    train_seconds: float
    """Optimizer steps alone, as `cost.train_seconds` counts them."""
    evaluation_seconds: float
    """Scoring validation and test, answers in free text included."""
    artifact_bytes: int
    disk_bytes: int
    """The artifact and the checkpoints at their most."""

    @property
    def seconds(self) -> float:
        return self.train_seconds + self.evaluation_seconds


def forecast_run(
    prepared: RunPlan,
    strategy: Strategy,
    training: ResolvedTraining,
    machine: Machine,
    process: int,
) -> Forecast:
    """Rehearse a few steps and add them up.

    `process` are the bytes this process held before it began to plan; on a GPU, whose
    memory is another, 0.
    """
    device = torch.device(machine.key["device"])
    rehearsal = Rehearsal.of(prepared, strategy, device, training.gradient_checkpointing)
    rehearsal.advance(END)
    course = StepCounts.of(prepared, training)
    shapes = course.shapes()
    precision = forecast_precision(rehearsal, training, machine, shapes[len(shapes) // 2])
    rehearsal = replace(rehearsal, precision=precision)
    steps = [(batch, rehearsal.step([batch])) for batch in shapes]
    split, batch = largest_look(prepared, training.per_device_eval_batch_size)
    read = prepared.examples[split]
    look = EvalRehearsal(positions(read, batch), rehearsal.look(read, batch))
    states = FrozenStates.of(rehearsal, shapes[len(shapes) // 2], machine)
    solved = training.optim == "lbfgs"
    training_work = (
        reading_seconds(course, look, machine)
        if solved
        else train_seconds(rehearsal, course, steps, machine)
    )
    evaluation_work = evaluation_seconds(
        rehearsal, training, course, look, states, machine, training_work
    )
    artifact = artifact_bytes(rehearsal)
    return Forecast(
        strategy=strategy.type,
        parameters=rehearsal.weights,
        trainable=rehearsal.trainable,
        memory=replace(
            foresee_memory(rehearsal, training, steps[-1], look.trace, machine, process),
            states=states.held(prepared),
        ),
        precision=precision,
        steps=0 if solved else course.plan.total,
        train_seconds=machine.start + machine.pace * training_work,
        evaluation_seconds=machine.pace * evaluation_work,
        artifact_bytes=artifact,
        disk_bytes=artifact + 2 * FLOAT * rehearsal.trainable * keeps(training),
    )


def artifact_bytes(rehearsal: Rehearsal) -> int:
    """Bytes of the artifact: what trained (or, for whole-weight strategies, all), and words."""
    whole = rehearsal.strategy.saves_whole_model
    folder = Path(rehearsal.prepared.config.model.location).expanduser()
    words = sum(
        file.stat().st_size
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.name.startswith(_TOKENIZER_FILES)
    )
    return FLOAT * (rehearsal.weights if whole else rehearsal.trainable) + words
