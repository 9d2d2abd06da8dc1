"""The memory, time and disk of one run, from a rehearsal of its steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from welltuned import distributed
from welltuned.data.batching import BatchPlan, evaluation_batches
from welltuned.engines.config import TrainingConfig
from welltuned.engines.plan import StepPlan
from welltuned.engines.precision import CLEARLY
from welltuned.evaluation.predicting import ANSWERED_AT_ONCE
from welltuned.planning.imagination import WEIGHTS, Trace
from welltuned.planning.machine import Machine
from welltuned.planning.rehearsal import Rehearsal
from welltuned.preparation import Prepared
from welltuned.strategies import Progress, Strategy
from welltuned.strategies.base import END, InjectedStrategy

_STAGES = (0.0, 0.25, 0.5, 0.75)
"""When it is asked whether a strategy has changed what trains."""
_SHAPES = 3
"""Micro-batches that are rehearsed: the smallest, the one in the middle, the largest."""
_FLOAT = 4
"""Bytes of a number in full precision, which all that trains is in."""
_TOKENIZER_FILES = ("tokenizer", "vocab", "merges", "special_tokens", "spiece", "added_tokens")


@dataclass(frozen=True)
class Memory:
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
    """What was freed but stays with the process."""
    elsewhere: int
    """By how much saving, proof or evaluation reaches above a training step."""

    @property
    def total(self) -> int:
        return (
            self.process
            + self.libraries
            + self.weights
            + self.gradients
            + self.optimizer
            + sum(self.activations.values())
            + self.allocator
            + self.elsewhere
        )


@dataclass(frozen=True)
class Forecast:
    """What a run will cost."""

    strategy: str
    parameters: int
    trainable: int
    memory: Memory
    steps: int
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


def forecast(
    prepared: Prepared,
    strategy: Strategy,
    training: TrainingConfig,
    machine: Machine,
    process: int,
) -> Forecast:
    """Rehearse a few steps and add them up.

    `process` are the bytes this process held before it began to plan; on a GPU, whose
    memory is another, 0.
    """
    rehearsal = Rehearsal.of(prepared, strategy, training.gradient_checkpointing)
    rehearsal.advance(END)
    clock = _Clock(machine, _is_half(prepared, training, machine))
    plan = _plan(prepared, training)
    batches = [batch for step in plan for batch in step.micro_batches]
    steps = [(batch, rehearsal.step([batch])) for batch in _shapes(prepared, batches)]
    look = _Look.of(rehearsal, training)
    artifact = _artifact(rehearsal)
    return Forecast(
        strategy=strategy.type,
        parameters=rehearsal.weights,
        trainable=rehearsal.trainable,
        memory=_memory(rehearsal, training, steps[-1], look, machine, process),
        steps=plan.total,
        train_seconds=_train_seconds(rehearsal, plan, batches, steps, clock),
        evaluation_seconds=_evaluation_seconds(rehearsal, training, plan, look, clock),
        artifact_bytes=artifact,
        disk_bytes=artifact + 2 * _FLOAT * rehearsal.trainable * _keeps(training),
    )


Step = tuple[np.ndarray, Trace]
"""A micro-batch, and what its forward and backward pass are."""


def _plan(prepared: Prepared, training: TrainingConfig) -> StepPlan:
    batches = BatchPlan(
        lengths=prepared.learned.lengths,
        rows=prepared.learned.sizes,
        batch_size=training.examples_per_pass,
        accumulation=training.gradient_accumulation_steps,
        seed=training.seed,
        by_length=training.group_by_length,
        max_tokens=training.max_tokens_per_step,
        processes=distributed.processes(),
    )
    return StepPlan.of(batches, training)


def _shapes(prepared: Prepared, batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Micro-batches from the smallest to the largest, no two of one size."""
    order = sorted(batches, key=lambda batch: _positions(prepared, "train", batch))
    picked = [order[round(i * (len(order) - 1) / (_SHAPES - 1))] for i in range(_SHAPES)]
    return list({_positions(prepared, "train", batch): batch for batch in picked}.values())


def _positions(prepared: Prepared, split: str, batch: np.ndarray) -> int:
    """Tokens of a batch, padding included."""
    return len(batch) * int(prepared.examples[split].lengths[batch].max())


@dataclass(frozen=True)
class _Look:
    """The largest batch that is scored, and what its forward pass is."""

    positions: int
    trace: Trace

    @classmethod
    def of(cls, rehearsal: Rehearsal, training: TrainingConfig) -> _Look:
        prepared, size = rehearsal.prepared, training.per_device_eval_batch_size
        largest = {
            split: evaluation_batches(prepared.examples[split].lengths, size)[0]
            for split in prepared.examples
            if split != "train"
        }
        split = max(largest, key=lambda split: _positions(prepared, split, largest[split]))
        trace = rehearsal.look(split, largest[split])
        return cls(_positions(prepared, split, largest[split]), trace)


# --- Memory and disk ---------------------------------------------------------


def _memory(
    rehearsal: Rehearsal,
    training: TrainingConfig,
    largest: Step,
    look: _Look,
    machine: Machine,
    process: int,
) -> Memory:
    batch, once = largest
    # With accumulation gradients are there while the next micro-batch is read.
    accumulates = training.gradient_accumulation_steps > 1
    trace = rehearsal.step([batch, batch]) if accumulates else once
    weights, trainable = rehearsal.weight_bytes, _FLOAT * rehearsal.trainable
    gradients = min(trainable, trace.at_peak[""])
    waiting = trace.peak - weights - gradients
    step = trace.peak + 2 * trainable
    elsewhere = [
        weights + 2 * trainable + (look.trace.peak - weights),
        weights + 4 * trainable if _keeps(training) else 0,  # a copy, and the copy as a file
        weights + waiting + weights,  # the artifact is loaded beside the model
    ]
    on_gpu = machine.key["device"] == "cuda"
    churned = once.allocated - (once.peak - weights)
    return Memory(
        process=process,
        libraries=0 if on_gpu else machine.fixed_bytes,
        weights=weights,
        gradients=gradients,
        optimizer=2 * trainable,
        activations=_by_place(trace, gradients),
        allocator=0 if on_gpu else round(machine.churn * churned),
        elsewhere=max(0, max(elsewhere) - step),
    )


def _by_place(trace: Trace, gradients: int) -> dict[str, int]:
    """Bytes of a step's peak that are neither weights nor gradients, the largest part first."""
    places = {name: size for name, size in trace.at_peak.items() if name not in ("", WEIGHTS)}
    places["other"] = trace.at_peak[""] - gradients
    return {name: size for name, size in sorted(places.items(), key=lambda p: -p[1]) if size > 0}


def _keeps(training: TrainingConfig) -> bool:
    """Whether the best weights are kept while training goes on."""
    return training.load_best_model_at_end and training.eval_strategy != "no"


def _artifact(rehearsal: Rehearsal) -> int:
    """Bytes of the artifact: what trained (or, for whole-weight strategies, all), and words."""
    whole = not isinstance(rehearsal.strategy, InjectedStrategy)
    folder = Path(rehearsal.prepared.config.model.location).expanduser()
    words = sum(
        file.stat().st_size
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.name.startswith(_TOKENIZER_FILES)
    )
    return _FLOAT * (rehearsal.weights if whole else rehearsal.trainable) + words


# --- Time --------------------------------------------------------------------


@dataclass(frozen=True)
class _Clock:
    """A machine, and whether it computes in bf16."""

    machine: Machine
    half: bool

    def seconds(self, trace: Trace) -> float:
        return self.machine.seconds(trace, self.half)


def _is_half(prepared: Prepared, training: TrainingConfig, machine: Machine) -> bool:
    """Whether forward and backward will compute in bf16, as far as it can be known.

    On a CPU a probe of the loaded model decides; here the machine stands in for it.
    """
    if prepared.config.model.dtype == "bfloat16":
        return True
    if training.precision != "auto":
        return training.precision == "bf16"
    return machine.key["device"] == "cuda" or machine.half > CLEARLY


def _train_seconds(
    rehearsal: Rehearsal,
    plan: StepPlan,
    batches: Sequence[np.ndarray],
    steps: Sequence[Step],
    clock: _Clock,
) -> float:
    prepared = rehearsal.prepared
    sizes = [_positions(prepared, "train", batch) for batch, _ in steps]
    seconds = [clock.seconds(trace) for _, trace in steps]
    positions = [_positions(prepared, "train", batch) for batch in batches]
    passes = float(np.interp(positions, sizes, seconds).sum()) / distributed.processes()
    stages = _stages(rehearsal, plan, steps[len(steps) // 2], clock)
    tensors = sum(len(group.parameters) for group in rehearsal.groups)
    moving = rehearsal.trainable * clock.machine.adam + tensors * clock.machine.call
    counted = len({stage.trainable for stage in stages}) * clock.machine.counting
    return (
        passes * float(np.mean([stage.time for stage in stages]))
        + plan.total * moving * float(np.mean([stage.trainable for stage in stages]))
        + counted * sum(steps[-1][1].operations.values())
    )


@dataclass(frozen=True)
class _Stage:
    """A quarter of training beside its end."""

    time: float
    trainable: float
    """Shares of what a step takes, and of what trains, at the end."""


def _stages(rehearsal: Rehearsal, plan: StepPlan, typical: Step, clock: _Clock) -> list[_Stage]:
    epochs, (batch, trace) = len(plan.steps_per_epoch), typical
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


def _evaluation_seconds(
    rehearsal: Rehearsal, training: TrainingConfig, plan: StepPlan, look: _Look, clock: _Clock
) -> float:
    prepared = rehearsal.prepared
    tokens = {split: int(part.lengths.sum()) for split, part in prepared.examples.items()}
    number = len(prepared.examples["validation"])
    often = {"no": 0, "epoch": len(plan.steps_per_epoch)}.get(training.eval_strategy)
    if often is None:
        assert training.eval_steps is not None
        often = -(-plan.total // training.eval_steps)
    tests = 2 if prepared.config.evaluation.untrained else 1
    sample = tokens["train"] * min(1.0, number / len(prepared.examples["train"]))
    read = tokens["validation"] * (often + 1) + tokens.get("test", 0) * tests + sample
    return read * clock.seconds(look.trace) / look.positions + tests * _answering(
        rehearsal, look, clock
    )


def _answering(rehearsal: Rehearsal, look: _Look, clock: _Clock) -> float:
    """Seconds of the answers in free text, should none of them end before it must."""
    problem = rehearsal.prepared.problem
    longest = problem.longest_answer
    answered = min(problem.answered, len(rehearsal.prepared.examples.get("test", ())))
    rounds = -(-answered // ANSWERED_AT_ONCE)
    words = look.trace.flops / look.positions * ANSWERED_AT_ONCE
    calls = clock.machine.call * sum(look.trace.operations.values())
    return rounds * longest * (calls + words / clock.machine.flops_per_second)
