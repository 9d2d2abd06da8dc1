"""The time of one run, from a rehearsal of some steps and what this machine does in a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from welltuned import distributed
from welltuned.engines.config import TrainingConfig
from welltuned.engines.precision import CLEARLY
from welltuned.evaluation.predicting import ANSWERED_AT_ONCE
from welltuned.planning.course import Course, positions
from welltuned.planning.imagination import Trace
from welltuned.planning.machine import Machine
from welltuned.planning.rehearsal import Rehearsal
from welltuned.preparation import Prepared
from welltuned.strategies import Progress

_STAGES = (0.0, 0.25, 0.5, 0.75)
"""When it is asked whether a strategy has changed what trains."""

Step = tuple[np.ndarray, Trace]
"""A micro-batch, and what its forward and backward pass are."""


@dataclass(frozen=True)
class Clock:
    """A machine, and whether it computes in bf16."""

    machine: Machine
    half: bool

    def seconds(self, trace: Trace) -> float:
        return self.machine.seconds(trace, self.half)


def is_half(prepared: Prepared, training: TrainingConfig, machine: Machine) -> bool:
    """Whether forward and backward will compute in bf16, as far as it can be known.

    On a CPU a probe of the loaded model decides; here the machine stands in for it.
    """
    if prepared.config.model.dtype == "bfloat16":
        return True
    if training.precision != "auto":
        return training.precision == "bf16"
    return machine.key["device"] == "cuda" or machine.half > CLEARLY


@dataclass(frozen=True)
class Look:
    """The largest batch that is scored, and what its forward pass is."""

    positions: int
    trace: Trace


def train_seconds(
    rehearsal: Rehearsal, course: Course, steps: Sequence[Step], clock: Clock
) -> float:
    """Optimizer steps alone, as `cost.train_seconds` counts them."""
    sizes = [positions(course.examples, batch) for batch, _ in steps]
    seconds = [clock.seconds(trace) for _, trace in steps]
    passes = float(np.interp(course.positions, sizes, seconds).sum()) * course.repeated
    stages = _stages(rehearsal, course, steps[len(steps) // 2], clock)
    tensors = sum(len(group.parameters) for group in rehearsal.groups)
    moving = rehearsal.trainable * clock.machine.adam + tensors * clock.machine.call
    # The first step's counting is part of what its start takes.
    counted = (len({stage.trainable for stage in stages}) - 1) * clock.machine.counting
    return (
        passes / distributed.processes() * float(np.mean([stage.time for stage in stages]))
        + course.plan.total * moving * float(np.mean([stage.trainable for stage in stages]))
        + counted * sum(steps[-1][1].operations.values())
    )


@dataclass(frozen=True)
class _Stage:
    """A quarter of training beside its end."""

    time: float
    trainable: float
    """Shares of what a step takes, and of what trains, at the end."""


def _stages(rehearsal: Rehearsal, course: Course, typical: Step, clock: Clock) -> list[_Stage]:
    epochs, (batch, trace) = course.epochs, typical
    known = {rehearsal.trains_now: _Stage(1.0, 1.0)}
    stages = []
    for fraction in _STAGES:
        rehearsal.advance(Progress(fraction, fraction * epochs))
        now = rehearsal.trains_now
        if now not in known:
            time = clock.seconds(rehearsal.step([batch])) / clock.seconds(trace)
            known[now] = _Stage(time, now / rehearsal.trainable)
        stages.append(known[now])
    return stages


def evaluation_seconds(
    rehearsal: Rehearsal, training: TrainingConfig, course: Course, look: Look, clock: Clock
) -> float:
    """Scoring validation and test, answers in free text included."""
    prepared = rehearsal.prepared
    tokens = {split: int(part.encoded.lengths.sum()) for split, part in prepared.examples.items()}
    number = len(prepared.examples["validation"])
    often = {"no": 0, "epoch": course.epochs}.get(training.eval_strategy)
    if often is None:
        assert training.eval_steps is not None
        often = -(-course.plan.total // training.eval_steps)
    tests = 2 if prepared.config.evaluation.untrained else 1
    sample = tokens["train"] * min(1.0, number / len(prepared.examples["train"]))
    read = tokens["validation"] * (often + 1) + tokens.get("test", 0) * tests + sample
    answering = tests * _answering(rehearsal, look, clock)
    return read * clock.seconds(look.trace) / look.positions + answering


def _answering(rehearsal: Rehearsal, look: Look, clock: Clock) -> float:
    """Seconds of the answers in free text, should none of them end before it must."""
    problem = rehearsal.prepared.problem
    answered = min(problem.answered, len(rehearsal.prepared.examples.get("test", ())))
    rounds = -(-answered // ANSWERED_AT_ONCE)
    words = look.trace.flops / look.positions * ANSWERED_AT_ONCE
    calls = clock.machine.call * sum(look.trace.operations.values())
    return rounds * problem.longest_answer * (calls + words / clock.machine.flops_per_second)
