"""`welltuned plan CONFIG gpus=8x80GB`: what each of several GPUs would hold, in every usual way.

A way is what frozen weights are held in, whether activations are recomputed, and whether each GPU
has the whole model or its share. What is learned is the same in all of them, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, replace

import numpy as np
import torch

from welltuned.config import RunConfig
from welltuned.strategies.base import END
from welltuned.training.forecast.gpus import Gpus
from welltuned.training.forecast.rank_memory import (
    QUANTISED,
    Base,
    RankMemory,
    TracedStep,
    sharded_memory,
    whole_memory,
)
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.step_counts import StepCounts, positions
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import RunPlan, prepare

_MOST = 1024
"""GPUs that are thought of where those that were named do not do."""


@dataclass(frozen=True)
class Way:
    """One way to train the same."""

    base: Base
    recomputes: bool
    """Whether activations are (`training.gradient_checkpointing`)."""
    sharded: bool

    @property
    def keys(self) -> list[str]:
        """The settings that ask for it."""
        quantised = self.base in QUANTISED
        kept = f"model.quantization={self.base}" if quantised else f"model.dtype={self.base}"
        recomputes = f"training.gradient_checkpointing={str(self.recomputes).lower()}"
        return [kept, recomputes, *(["training.sharding=fsdp2"] if self.sharded else [])]


@dataclass(frozen=True)
class WayMemory:
    """What a way takes of each GPU."""

    way: Way
    asked: bool
    """Whether it is the config's own."""
    memory: RankMemory
    fits: bool


@dataclass(frozen=True)
class GpuPlan:
    """Every way, those first that fit with the least change."""

    model: str
    strategy: str
    parameters: int
    trainable: int
    tokens: tuple[int, int]
    """Rows and columns of the largest micro-batch."""
    gpus: Gpus
    rows: list[WayMemory]
    enough: int | None
    """The least power of two of such GPUs with which a way fits; None where no number helps."""

    def as_dict(self) -> dict[str, object]:
        rows = [
            {**asdict(row), "memory": {**asdict(row.memory), "total": row.memory.total}}
            for row in self.rows
        ]
        return {**asdict(self), "rows": rows}


def plan_gpus(config: RunConfig, gpus: Gpus, progress: Working) -> GpuPlan:
    """What each of these GPUs would hold. Raises `InputError` as `rehearse_ways` does."""
    return rehearse_ways(config, progress).on(gpus)


def rehearse_ways(config: RunConfig, progress: Working) -> RehearsedWays:
    """Rehearse the largest micro-batch in every way; no weight is loaded, nor has to be there.

    Raises `InputError` before that where the config cannot work.
    """
    prepared = prepare(config, progress)
    training, examples = prepared.config.training, prepared.learned
    batch = StepCounts.of(prepared, training.resolved()).shapes()[-1]
    steps = list(_steps(prepared, batch, progress))
    base: Base = prepared.config.model.quantization or prepared.config.model.dtype
    rows = len(examples.rows_of(batch.tolist()))
    return RehearsedWays(
        model=prepared.config.model.name,
        strategy=prepared.config.strategy.type,
        tokens=(rows, positions(examples, batch) // rows),
        asked=Way(
            base=base if steps[0][2].freezes else "float32",
            recomputes=training.gradient_checkpointing,
            sharded=training.sharding is not None,
        ),
        ways=[(way, step) for kept in steps for way, step in _ways(prepared, *kept)],
    )


@dataclass(frozen=True)
class RehearsedWays:
    """The step of a training in every way, to be thought of on any GPUs."""

    model: str
    strategy: str
    tokens: tuple[int, int]
    asked: Way
    """The config's own."""
    ways: list[tuple[Way, TracedStep]]

    def on(self, gpus: Gpus) -> GpuPlan:
        """What each of these would hold; the config's own way first."""
        rows = []
        for way, step in self._possible(gpus.number):
            memory = _memory(way, step, gpus.number)
            rows.append(WayMemory(way, way == self.asked, memory, memory.total <= gpus.memory))
        rows.sort(key=lambda row: (not row.asked, not row.fits, _changes(self.asked, row.way)))
        weights = self.ways[0][1].weights
        return GpuPlan(
            model=self.model,
            strategy=self.strategy,
            parameters=sum(weight.count for weight in weights),
            trainable=sum(weight.count for weight in weights if weight.trains),
            tokens=self.tokens,
            gpus=gpus,
            rows=rows,
            enough=self._enough(gpus.memory),
        )

    def _possible(self, number: int) -> list[tuple[Way, TracedStep]]:
        """One GPU has nobody to share with."""
        return [(way, step) for way, step in self.ways if number > 1 or not way.sharded]

    def _enough(self, memory: float) -> int | None:
        number = 1
        while number <= _MOST:
            taken = (_memory(*way, number).total for way in self._possible(number))
            if min(taken) <= memory:
                return number
            number *= 2
        return None


_Kept = tuple[Base, bool, TracedStep]
"""What frozen weights are held in, whether activations are recomputed, and the step then."""


def _steps(prepared: RunPlan, batch: np.ndarray, progress: Working) -> Iterator[_Kept]:
    """The largest micro-batch, by what frozen weights are in and whether it recomputes."""
    bases: tuple[Base, ...] = ("float32", "bfloat16")
    each = [(base, recomputes) for base in bases for recomputes in (False, True)]
    for number, (base, recomputes) in enumerate(each, 1):
        step = _traced(prepared, batch, base, recomputes)
        yield base, recomputes, step
        progress("rehearsing a step", number, len(each))
        if number == 2 and not step.freezes:
            return  # all that trains is in full precision, whatever the rest would be in


def _traced(prepared: RunPlan, batch: np.ndarray, base: Base, recomputes: bool) -> TracedStep:
    config, training = prepared.config, prepared.config.training.resolved()
    model = config.model.model_copy(update={"dtype": base, "quantization": None})
    prepared = replace(prepared, config=config.model_copy(update={"model": model}))
    # On no device, and in the precision that GPUs are for.
    device = torch.device("cpu")
    rehearsal = Rehearsal.of(prepared, config.strategy, device, recomputes)
    rehearsal.advance(END)
    precision = "fp32" if training.precision == "fp32" else "bf16"
    rehearsal = replace(rehearsal, precision=precision)
    return TracedStep.of(rehearsal, batch, training)


def _ways(
    prepared: RunPlan, base: Base, recomputes: bool, step: TracedStep
) -> Iterator[tuple[Way, TracedStep]]:
    """The ways that have this step."""
    yield Way(base, recomputes, sharded=False), step
    yield Way(base, recomputes, sharded=True), step
    strategy = prepared.config.strategy
    # Base weights that train, or that give a part to what trains, need more bits.
    if base == "bfloat16" and not strategy.saves_whole_model and not strategy.changes_base:
        for quantised in QUANTISED:
            yield Way(quantised, recomputes, sharded=False), step


def _memory(way: Way, step: TracedStep, number: int) -> RankMemory:
    return sharded_memory(step, number) if way.sharded else whole_memory(step, number, way.base)


def _changes(asked: Way, way: Way) -> int:
    """How many settings differ."""
    pairs = zip(astuple(asked), astuple(way), strict=True)
    return sum(one != other for one, other in pairs)
