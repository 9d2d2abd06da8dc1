"""Memory of one GPU among several that train together, from a rehearsal of the largest step.

What each process holds for good is a share of weights and moments where the weights are sharded,
and all of them where not. What comes and goes is most at one of a few moments:

* the backward pass begins: all activations wait, counted as a training step would leave them
  (`meta_tracer.py`); of sharded weights all that is outside blocks is whole, and two blocks, one of
  which is gathered meanwhile; with accumulation the gradients are there already;
* within it, sharded: the gradients of one block as they arise, and once more as the message that
  they are summed in, beside those outside blocks and all shares so far;
* it ends: the same of what is outside blocks; of whole weights all gradients in one message.

With a quantised base its largest layer is restored to the precision that it computes in.
`docs/plan.md` lists what is assumed.
"""

from __future__ import annotations

import math
from collections import Counter
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
    """The peak of one process, by what it is for at the worst moment; bytes."""

    weights: int
    optimizer: int
    gradients: int
    in_use: int
    """Whole weights and gradients while a part of the model computes; a layer that is restored."""
    activations: int
    reserve: int = RESERVE

    @property
    def total(self) -> int:
        lasting = self.weights + self.optimizer + self.reserve
        return lasting + round(SPREAD * (self.gradients + self.in_use + self.activations))


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
    accumulates: bool
    """Whether gradients are there while the next micro-batch is read."""
    optimizer: int
    """Bytes that the optimizer keeps of all that trains."""
    activations: int
    """Bytes at their most, when each gradient is let go as soon as it is there."""
    with_gradients: tuple[int, int]
    """Bytes of (gradients, activations) when they are most together, as all gradients stay."""

    @classmethod
    def of(cls, rehearsal: Rehearsal, batch: np.ndarray, training: ResolvedTraining) -> TracedStep:
        """Two passes that cost nothing but time."""
        accumulates = training.gradient_accumulation_steps > 1
        weights, held = tuple(_weights(rehearsal)), rehearsal.weight_bytes
        alone = rehearsal.step([batch], keeps_gradients=False)
        both = rehearsal.step([batch, batch] if accumulates else [batch])
        trained = FLOAT * sum(weight.count for weight in weights if weight.trains)
        gradients = min(trained, both.at_peak[""])
        together = gradients, max(0, both.peak - held - gradients)
        kept = optimizer_bytes(rehearsal.groups, training)
        return cls(weights, accumulates, kept, max(0, alone.peak - held), together)

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
    gradients, units = _share(step.trained_bytes, number), _Units.of(step.weights)
    outside, around = units.outside, units.outside + 2 * units.block
    return _worst(
        _share(sum(weight.bytes for weight in step.weights), number),
        _share(step.optimizer, number),
        (gradients if step.accumulates else 0, around, step.activations),
        (gradients, around + 2 * units.of_block + units.of_outside, 0),
        (gradients, outside + 2 * units.of_outside, 0),
        (0, 2 * outside, 0),  # as the message that they come in, and as weights
    )


def whole_memory(step: TracedStep, number: int, base: Base) -> RankMemory:
    """Of one of so many processes that each have the whole model."""
    gradients, activations = step.with_gradients
    restored = [w.count for w in step.weights if w.quantises] if base in QUANTISED else []
    return _worst(
        round(sum(weight.held(base) for weight in step.weights)),
        step.optimizer,
        (gradients, _COMPUTED * max(restored, default=0), activations),
        (2 * step.trained_bytes if number > 1 else 0, 0, 0),
    )


def _worst(weights: int, optimizer: int, *moments: tuple[int, int, int]) -> RankMemory:
    """With the moment at which most comes and goes, each (gradients, in use, activations)."""
    return RankMemory(weights, optimizer, *max(moments, key=sum))


@dataclass(frozen=True)
class _Units:
    """What is gathered at once, in bytes."""

    outside: int
    """The weights in no block, and..."""
    of_outside: int
    """... their gradients."""
    block: int
    """The weights of the largest block, and..."""
    of_block: int
    """... the gradients of that with the most."""

    @classmethod
    def of(cls, weights: Iterable[_Weight]) -> _Units:
        held, learned = Counter({"": 0}), Counter({"": 0})
        for weight in weights:
            held[weight.unit] += weight.bytes
            learned[weight.unit] += FLOAT * weight.count if weight.trains else 0
        outside, of_outside = held.pop(""), learned.pop("")
        return cls(
            outside, of_outside, max(held.values(), default=0), max(learned.values(), default=0)
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


def _share(size: float, number: int) -> int:
    return math.ceil(size / number)
