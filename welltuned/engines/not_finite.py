"""A step whose loss or gradient is no number: what it was made of, for people to study."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypedDict

import numpy as np
import torch

from welltuned.engines import distributed
from welltuned.engines.accumulate import StepLoss
from welltuned.engines.device import autocast
from welltuned.engines.job import Job
from welltuned.engines.step_plan import PlannedStep
from welltuned.errors import Fault, NotFinite, Place
from welltuned.models.freezing import set_training_modes
from welltuned.models.sharding import through
from welltuned.models.tensor_parts import own_part

_NAMED = 8
"""Examples, and weights, that are named where there are many."""


class ExampleStudy(TypedDict):
    """One example of such a step."""

    id: str
    record: Mapping[str, object]
    """What it asks."""
    input_ids: list[list[int]]
    """Its tokens, of each of its rows."""
    target: object
    loss: str
    """Its own loss as the weights are, without dropout: a number, `nan` or `inf`."""


class MicroBatchStudy(TypedDict):
    """What one forward pass read."""

    loss: str
    """What it added to the loss of the step."""
    examples: list[ExampleStudy]


class StepStudy(TypedDict):
    """A step that was not taken."""

    step: int
    epoch: float
    loss: str
    gradient_norm: str
    weights: list[str]
    """Some of the weights whose gradient is not finite."""
    micro_batches: list[MicroBatchStudy]


def study(job: Job, step: PlannedStep, loss: StepLoss, norm: float) -> StepStudy:
    """What is known of a step, its gradients still in the weights; to be called by all processes.

    Examples are read once more, one at a time; random numbers and modes stay as they were.
    """
    parts, ranks = distributed.gathered(loss.own), range(distributed.processes())
    weights = [
        name
        for name, weight in job.model.named_parameters()
        if weight.grad is not None and not torch.isfinite(own_part(weight.grad)).all()
    ]
    own: list[MicroBatchStudy] = []
    with _reading(job):
        # Each reads its own micro-batches; through sharded weights all read those of all.
        for rank in ranks if job.sharded else [distributed.rank()]:
            read = step.micro_batches[rank :: len(ranks)]
            for part, indices in zip(parts[rank], read, strict=True):
                examples = [_example(job, int(i), step) for i in indices]
                own.append({"loss": f"{part:.6g}", "examples": examples})
    told = [own] if job.sharded else distributed.gathered(own)
    found = dict.fromkeys(name for names in distributed.gathered(weights) for name in names)
    return {
        "step": step.number,
        "epoch": step.epoch_after,
        "loss": f"{loss.total:.6g}",
        "gradient_norm": f"{norm:.6g}",
        "weights": [*found][:_NAMED],
        "micro_batches": [batch for batches in told for batch in batches],
    }


def _example(job: Job, index: int, step: PlannedStep) -> ExampleStudy:
    examples, batch = job.examples, job.collate(np.array([index]), job.device, step)
    objective = job.problem.objective
    with autocast(job.precision, job.device):
        summed = through(job.model, lambda: objective.loss(job.model, batch))
        loss = summed / (objective.count(batch) or 1.0)
    target = None if examples.targets is None else examples.targets[index]
    return {
        "id": examples.records.id(index),
        "record": job.problem.presenter.shown(examples.records, index),
        "input_ids": [examples.encoded[row].tolist() for row in examples.rows_of([index])],
        "target": target.tolist() if isinstance(target, (np.ndarray, np.generic)) else target,
        "loss": f"{loss.item():.6g}",
    }


@contextmanager
def _reading(job: Job) -> Iterator[None]:
    """Without gradients and dropout."""
    job.model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        set_training_modes(job.model)


def not_finite(
    what: str, step: PlannedStep, found: StepStudy, skipped: int, place: Place | None
) -> NotFinite:
    """The error to raise, naming the examples: of the first micro-batch whose loss is no number."""
    batches = found["micro_batches"]
    bad = [batch for batch in batches if not math.isfinite(float(batch["loss"]))][:1] or batches
    ids = [example["id"] for batch in bad for example in batch["examples"]]
    return NotFinite(
        Fault(
            "training.not_finite",
            "the {quantity} of step {step} is not finite; no step was taken with it{before}. The "
            "batch holds {rows}",
            place,
            "lower training.learning_rate, or set training.precision=fp32, and look at these rows; "
            "training.max_skipped_steps={more} passes over such steps, so many of them",
            quantity=what,
            step=step.number,
            before=f", as with {skipped:,} before it" if skipped else "",
            rows=_some(ids),
            more=skipped + 10,
        )
    )


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
