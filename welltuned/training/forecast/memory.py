"""Peak-memory forecast, from a rehearsal of the largest step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizers.facts import FLOAT, kept_bytes
from welltuned.strategies import ParameterGroup
from welltuned.training.forecast.meta_tracer import WEIGHTS, Trace
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal


@dataclass(frozen=True)
class MemoryForecast:
    """The peak of a run, by what it is for; bytes."""

    process: int
    """What the process holds before any weight: Python, libraries, the data."""
    libraries: int
    """What libraries take once they are used."""
    weights: int
    gradients: int
    optimizer: int
    activations: dict[str, int]
    """What waits for the backward pass, by the part of the model."""
    allocator: int
    """What was freed but stays with the process: hardly two batches that are scored have tensors
    of the same sizes, so that none fits where another was."""
    elsewhere: int
    """By how much saving, proof or evaluation reaches above a training step."""
    states: int = 0
    """Kept states above frozen blocks, as far as they are in memory."""
    roles: dict[str, int] = field(default_factory=dict)
    """In an RL stage what its other roles take: `reference`, `value`, `reward`. The policy's are
    `weights`, `gradients` and `optimizer`."""

    @property
    def total(self) -> int:
        held = self.process + self.libraries + self.weights + self.gradients + self.optimizer
        used = sum(self.activations.values()) + sum(self.roles.values())
        return held + used + self.states + self.allocator + self.elsewhere


def foresee_memory(
    rehearsal: Rehearsal,
    training: ResolvedTraining,
    largest: tuple[np.ndarray, Trace],
    look: Trace,
    machine: Machine,
    process: int,
) -> MemoryForecast:
    """From the largest micro-batch with its trace, and the trace of the largest batch scored.

    `process` is what the process held before it began to plan; on a GPU, whose memory is
    another, 0.
    """
    batch, once = largest
    # With accumulation gradients are there while the next micro-batch is read.
    accumulates = training.gradient_accumulation_steps > 1
    trace = rehearsal.step([batch, batch]) if accumulates else once
    weights, trainable = rehearsal.weight_bytes, FLOAT * rehearsal.trainable
    optimizer = optimizer_bytes(rehearsal.groups, training)
    gradients = min(trainable, trace.at_peak[""])
    waiting = trace.peak - weights - gradients
    step = trace.peak + optimizer
    on_gpu = machine.key["device"] == "cuda"
    # A GPU is given each layer when it is quantised, and holds none as it was read.
    read = weights if on_gpu else rehearsal.read_bytes
    elsewhere = [
        read,
        weights + optimizer + (look.peak - weights),
        # a copy, and the copy as a file
        weights + optimizer + 2 * trainable if keeps(training) else 0,
        weights + waiting + read,  # the artifact is loaded beside the model
    ]
    return MemoryForecast(
        process=process,
        libraries=0 if on_gpu else machine.fixed_bytes,
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=_by_place(trace, gradients),
        allocator=0 if on_gpu else round(machine.churn * (look.peak - weights)),
        elsewhere=max(0, max(elsewhere) - step),
    )


def optimizer_bytes(groups: Sequence[ParameterGroup], training: ResolvedTraining) -> int:
    """What the optimizer keeps of all that trains at some time."""
    kept = (
        kept_bytes(training.optim, parameter.shape, group.in_blocks)
        for group in groups
        for parameter in group.parameters
    )
    return round(sum(kept))


def keeps(training: ResolvedTraining) -> bool:
    """Whether the best weights are kept while training goes on."""
    return training.load_best_model_at_end and training.eval_strategy != "no"


def _by_place(trace: Trace, gradients: int) -> dict[str, int]:
    """Bytes of a step's peak that are neither weights nor gradients, the largest part first."""
    places = {name: size for name, size in trace.at_peak.items() if name not in ("", WEIGHTS)}
    places["other"] = trace.at_peak[""] - gradients
    return {name: size for name, size in sorted(places.items(), key=lambda p: -p[1]) if size > 0}
