"""Job and Outcome: what an engine receives and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import BatchPlan
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.events import Listener
from welltuned.engines.snapshot import Snapshot
from welltuned.engines.step_plan import PlannedStep, plan_batches
from welltuned.errors import Place
from welltuned.evaluation.predict import to_device
from welltuned.models.anatomy import Anatomy
from welltuned.models.sharding import is_sharded
from welltuned.protection import Guard
from welltuned.runs.results_schema import Backoff, HeadSolution, Scores
from welltuned.strategies import ParameterGroup, Strategy
from welltuned.tasks import Examples, Problem

if TYPE_CHECKING:
    from welltuned.tasks.parts import Batch


@dataclass
class Job:
    """One training, fully prepared."""

    model: nn.Module
    anatomy: Anatomy
    problem: Problem
    strategy: Strategy
    groups: list[ParameterGroup]
    training: ResolvedTraining
    examples: Examples
    pad_id: int
    precision: str
    validate: Callable[[], Scores]
    """Scores of the validation split, for the model as it is now."""
    keep: Callable[[int, Scores], None]
    """Keep the weights as they are now as the best so far: (step, scores)."""
    save: Callable[[Snapshot], object] = lambda snapshot: None
    """Write down what an interrupted training goes on from."""
    study: Callable[[int, Mapping[str, object]], Place | None] = lambda step, found: None
    """Write down what a step that was not taken was made of; returns where it stands."""
    start: Snapshot | None = None
    """What it goes on from, where it was interrupted."""
    listener: Listener = field(default_factory=Listener)
    guards: Sequence[Guard] = ()
    """The guards against forgetting during training."""
    folder: Path = Path("runs")
    """Where an engine may leave files of its own."""

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def sharded(self) -> bool:
        """Whether this process holds a part of the weights: a forward pass takes all processes."""
        return is_sharded(self.model)

    def collate(
        self, indices: np.ndarray, device: torch.device, step: PlannedStep | None = None
    ) -> Batch:
        """These examples as one padded batch on a device; as a step reads them, where one does."""
        seed, read = self.training.seed, self.examples
        if step is not None:
            read = read.in_epoch(seed, step.epoch)
        examples, places = read.drawn(indices.tolist(), seed, 0 if step is None else step.number)
        return to_device(self.problem.codec.collate(examples, places, self.pad_id), device)

    @property
    def batches(self) -> BatchPlan:
        """Which examples go into which step."""
        return plan_batches(self.examples, self.training)


@dataclass
class Outcome:
    """What training was, in numbers."""

    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    """Spent in optimizer steps; evaluation and saving are not counted."""
    examples: int = 0
    tokens: int = 0
    """Real tokens, without padding."""
    positions: int = 0
    """Tokens with padding."""
    flops: float = 0.0
    best_step: int | None = None
    stopped_early: bool = False
    skipped_steps: int = 0
    """Steps that were not taken, as their loss or gradient was not finite."""
    backoffs: list[Backoff] = field(default_factory=list)
    """Each time that memory ran out, and micro-batches became smaller."""
    lbfgs: HeadSolution | None = None
    """How the optimum of a linear head was found, where that is all that trained."""
    head: HeadSolution | None = None
    """How it was found for what was trained below it, where that learned by contrast."""
