"""Time forecast, from rehearsed steps and the machine's prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from welltuned.engines import distributed
from welltuned.engines.config import ResolvedTraining
from welltuned.engines.device import CLEARLY, gain_of
from welltuned.evaluation.predict import ANSWERED_AT_ONCE
from welltuned.runs.user_cache import recalled
from welltuned.strategies import Progress
from welltuned.training.answering import allowed_seconds
from welltuned.training.forecast.frozen_states import FrozenStates
from welltuned.training.forecast.meta_tracer import Trace
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.step_counts import StepCounts, positions

_STAGES = (0.0, 0.25, 0.5, 0.75)
"""When it is asked whether a strategy has changed what trains."""

Step = tuple[np.ndarray, Trace]
"""A micro-batch, and what its forward and backward pass are."""


def forecast_precision(
    rehearsal: Rehearsal, training: ResolvedTraining, machine: Machine, batch: np.ndarray
) -> str:
    """What forward and backward will compute in, as far as it can be known.

    On a CPU a run tries a step of the loaded model in both, once for all runs of such a model;
    before that a rehearsed one stands for it.
    """
    if rehearsal.prepared.config.model.dtype == "bfloat16":
        return "bf16"
    if training.precision != "auto":
        return training.precision
    if machine.key["device"] == "cuda":
        return "bf16"
    prepared = rehearsal.prepared
    known = recalled(gain_of(prepared.anatomy, prepared.config.model.quantization))
    if known is not None:
        gain = known.value
    else:
        full, half = (
            machine.seconds(replace(rehearsal, precision=precision).step([batch]))
            for precision in ("fp32", "bf16")
        )
        gain = full / half
    return "bf16" if gain > CLEARLY else "fp32"


@dataclass(frozen=True)
class EvalRehearsal:
    """The largest batch that is scored, and what its forward pass is."""

    positions: int
    trace: Trace


def train_seconds(
    rehearsal: Rehearsal, course: StepCounts, steps: Sequence[Step], machine: Machine
) -> float:
    """Optimizer steps alone, as `cost.train_seconds` counts them."""
    sizes = [positions(course.examples, batch) for batch, _ in steps]
    seconds = [machine.seconds(trace) for _, trace in steps]
    positions_read = course.positions
    passes = float(np.interp(positions_read, sizes, seconds).sum()) * course.repeated
    stages = _stages(rehearsal, course, steps[len(steps) // 2], machine)
    tensors = sum(len(group.parameters) for group in rehearsal.groups)
    moving = rehearsal.trainable * machine.adam + tensors * machine.call
    # The first step's counting is part of what its start takes.
    counted = (len({stage.trainable for stage in stages}) - 1) * machine.counting
    found = float(np.mean([stage.states.seconds for stage in stages])) * positions_read.sum()
    computed = stages[0].states.seconds * course.tokens
    saved = max(0.0, found * course.repeated - computed)
    return (
        (passes * float(np.mean([stage.time for stage in stages])) - saved)
        / distributed.processes()
        + course.plan.total * moving * float(np.mean([stage.trainable for stage in stages]))
        + counted * sum(steps[-1][1].operations.values())
    )


def reading_seconds(course: StepCounts, look: EvalRehearsal, machine: Machine) -> float:
    """One forward pass over the training examples, all that takes time where L-BFGS fits a head."""
    return course.tokens * machine.seconds(look.trace) / look.positions


@dataclass(frozen=True)
class _Stage:
    """A quarter of training beside its end."""

    time: float
    trainable: float
    """Shares of what a step takes, and of what trains, at the end."""
    states: FrozenStates


def _stages(
    rehearsal: Rehearsal, course: StepCounts, typical: Step, machine: Machine
) -> list[_Stage]:
    epochs, (batch, trace) = course.epochs, typical
    known = {rehearsal.trains_now: _Stage(1.0, 1.0, FrozenStates.of(rehearsal, batch, machine))}
    stages = []
    for fraction in _STAGES:
        rehearsal.advance(Progress(fraction, fraction * epochs))
        now = rehearsal.trains_now
        if now not in known:
            time = machine.seconds(rehearsal.step([batch])) / machine.seconds(trace)
            states = FrozenStates.of(rehearsal, batch, machine)
            known[now] = _Stage(time, now / rehearsal.trainable, states)
        stages.append(known[now])
    return stages


def evaluation_seconds(
    rehearsal: Rehearsal,
    training: ResolvedTraining,
    course: StepCounts,
    look: EvalRehearsal,
    states: FrozenStates,
    machine: Machine,
    train_seconds: float,
) -> float:
    """Scoring validation and test, answers in free text included, after so long a training."""
    prepared = rehearsal.prepared
    tokens = {split: int(part.encoded.lengths.sum()) for split, part in prepared.examples.items()}
    number = len(prepared.examples["validation"])
    often = {"no": 0, "epoch": course.epochs}.get(training.eval_strategy)
    if training.optim == "lbfgs":
        often = 0  # what the head reads is kept from the last look
    if often is None:
        assert training.eval_steps is not None
        often = -(-course.plan.total // training.eval_steps)
    tests = 2 if prepared.config.evaluation.untrained else 1
    sample = tokens["train"] * min(1.0, number / len(prepared.examples["train"]))
    read = tokens["validation"] * (often + 1) + tokens.get("test", 0) * tests + sample
    found = tokens["validation"] * often + tokens.get("test", 0) * (tests - 1) + sample
    answering = tests * _answering(rehearsal, look, machine, train_seconds)
    scoring = read * machine.seconds(look.trace) / look.positions
    return max(0.0, scoring - found * states.seconds) + answering


def _answering(
    rehearsal: Rehearsal, look: EvalRehearsal, machine: Machine, train_seconds: float
) -> float:
    """Seconds of the answers in free text, should none of them end before it must.

    Where time decides how many there are, no more than that.
    """
    prepared = rehearsal.prepared
    responder, test = prepared.problem.responder, prepared.examples.get("test")
    if responder is None or test is None:
        return 0.0
    in_time, limit = responder.number == "auto", prepared.max_length
    answered = len(test) if responder.number == "auto" else min(responder.number, len(test))
    longest = min(limit, int(test.lengths.max()) + responder.max_new_tokens)
    together = max(1, min(answered, ANSWERED_AT_ONCE * limit // longest))
    rounds = -(-answered // together)
    words = look.trace.flops / look.positions * together
    calls = machine.call * sum(look.trace.operations.values())
    seconds = rounds * responder.max_new_tokens * (calls + words / machine.flops_per_second)
    allowed = allowed_seconds(prepared.config.evaluation, train_seconds)
    return min(seconds, allowed) if in_time else seconds
