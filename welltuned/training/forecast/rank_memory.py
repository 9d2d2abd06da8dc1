"""Memory of one GPU among several that train together, from a rehearsal of the largest step.

What each process holds for good is a share of weights, gradients and moments where the weights are
sharded, and all of them where not. What it holds for a while:

* sharded, the units in use: all that is outside blocks, one block and the next one, which is
  gathered meanwhile; and in the backward pass the gradients of one block, once as they arise and
  once as the message that they are summed in;
* with a quantised base, the largest layer of it in the precision that it computes in;
* activations, counted as a training step would leave them (`meta_tracer.py`).

`docs/plan.md` lists what is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizers.facts import FLOAT
from welltuned.models.anatomy import undecorated
from welltuned.training.forecast.memory import optimizer_bytes
from welltuned.training.forecast.rehearsal import Rehearsal

Base = Literal["float32", "bfloat16", "int8", "nf4"]
"""What frozen weights of blocks are held in."""
QUANTISED: tuple[Base, ...] = ("int8", "nf4")
RESERVE = round(1.5 * 2**30)
"""What CUDA, NCCL and their libraries take of each GPU before any tensor."""
SPREAD = 1.05
"""How much more the allocator takes than tensors that come and go."""
_COMPUTED = 2
"""Bytes of a number that a quantised weight is restored to."""


@dataclass(frozen=True)
class RankMemory:
    """The peak of one process, by what it is for; bytes."""

    weights: int
    gradients: int
    optimizer: int
    in_use: int
    """Whole weights and gradients while a part of the model computes; a layer that is restored."""
    activations: int
    reserve: int = RESERVE

    @property
    def total(self) -> int:
        lasting = self.weights + self.gradients + self.optimizer + self.reserve
        return lasting + round(SPREAD * (self.in_use + self.activations))


@dataclass(frozen=True)
class _Weight:
    """What there is to know of one."""

    unit: str
    """The block that it is in; empty outside of all."""
    shape: tuple[int, ...]
    size: int
    """Bytes of a number of it."""
    trains: bool
    quantises: bool
    """Whether it is one that a quantised base has in fewer bits."""

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """As it is loaded."""
        return self.size * self.count

    def held(self, base: Base) -> float:
        """Its bytes, where the base is held so."""
        if base not in QUANTISED or not self.quantises:
            return self.bytes
        if base == "int8":
            return self.count + FLOAT * self.shape[0]
        # Half a byte, a byte for 64 of them that share a scale, and a float for 256 such scales.
        return self.count * (1 / 2 + 1 / 64 + FLOAT / (64 * 256))


@dataclass(frozen=True)
class TracedStep:
    """The largest micro-batch of a training, rehearsed: all that its memory follows from."""

    weights: tuple[_Weight, ...]
    optimizer: int
    """Bytes that the optimizer keeps of all that trains."""
    activations: int
    """Bytes at their most, when each gradient is let go as soon as it is there."""
    with_gradients: tuple[int, int]
    """Bytes of (activations, gradients) when they are most together, as all gradients stay."""

    @classmethod
    def of(cls, rehearsal: Rehearsal, batch: np.ndarray, training: ResolvedTraining) -> TracedStep:
        """With accumulation, gradients are there while the next micro-batch is read."""
        accumulates = training.gradient_accumulation_steps > 1
        weights, held = tuple(_weights(rehearsal)), rehearsal.weight_bytes
        alone = rehearsal.step([batch], keeps_gradients=False)
        both = rehearsal.step([batch, batch] if accumulates else [batch])
        trained = FLOAT * sum(weight.count for weight in weights if weight.trains)
        gradients = min(trained, both.at_peak[""])
        together = max(0, both.peak - held - gradients), gradients
        kept = optimizer_bytes(rehearsal.groups, training)
        return cls(weights, kept, max(0, alone.peak - held), together)

    @property
    def freezes(self) -> bool:
        """Whether any weight stays as it is, and so may be held in fewer bytes."""
        return any(not weight.trains for weight in self.weights)

    @property
    def trained_bytes(self) -> int:
        """Of all that trains, which is in full precision."""
        return FLOAT * sum(weight.count for weight in self.weights if weight.trains)


def sharded_memory(step: TracedStep, number: int) -> RankMemory:
    """Of one of so many processes that share the weights (`training.sharding: fsdp2`)."""
    return RankMemory(
        weights=_share(sum(weight.bytes for weight in step.weights), number),
        gradients=_share(step.trained_bytes, number),
        optimizer=_share(step.optimizer, number),
        in_use=_in_use(step.weights),
        activations=step.activations,
    )


def whole_memory(step: TracedStep, number: int, base: Base) -> RankMemory:
    """Of one of so many processes that each have the whole model."""
    trained, (activations, gradients) = step.trained_bytes, step.with_gradients
    restored = [w.count for w in step.weights if w.quantises] if base in QUANTISED else []
    return RankMemory(
        weights=round(sum(weight.held(base) for weight in step.weights)),
        # Of several the gradients are summed in one message, a copy of them.
        gradients=gradients if number == 1 else max(gradients, 2 * trained),
        optimizer=step.optimizer,
        in_use=_COMPUTED * max(restored, default=0),
        activations=activations,
    )


def _weights(rehearsal: Rehearsal) -> Iterator[_Weight]:
    anatomy = rehearsal.prepared.anatomy
    trains = {id(p) for group in rehearsal.groups for p in group.parameters}
    linears = {f"{linear}.weight" for block in anatomy.blocks for linear in block.linears}
    names = [block.name for block in anatomy.blocks]
    for name, weight in rehearsal.model.named_parameters():
        plain, learned = undecorated(name), id(weight) in trains
        unit = next((block for block in names if plain.startswith(f"{block}.")), "")
        quantises = plain in linears and not learned
        yield _Weight(unit, tuple(weight.shape), weight.element_size(), learned, quantises)


def _in_use(weights: Iterable[_Weight]) -> int:
    """The most bytes of whole weights, and of whole gradients, that are there at once."""
    held, learned = {"": 0}, {"": 0}
    for weight in weights:
        held[weight.unit] = held.get(weight.unit, 0) + weight.bytes
        gradient = FLOAT * weight.count if weight.trains else 0
        learned[weight.unit] = learned.get(weight.unit, 0) + gradient
    outside, gradients = held.pop(""), learned.pop("")
    block, of_block = max(held.values(), default=0), max(learned.values(), default=0)
    return max(
        2 * outside,  # as the message that they come in, and as weights
        outside + 2 * block + 2 * of_block + gradients,
        outside + 2 * gradients,
    )


def _share(size: float, number: int) -> int:
    return math.ceil(size / number)
