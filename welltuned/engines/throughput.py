"""Throughput and cost of training: time, tokens, floating-point operations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypedDict

import torch

from welltuned.data.tokens.windows import WINDOWS
from welltuned.engines import distributed
from welltuned.engines.events import Step
from welltuned.engines.job import Outcome
from welltuned.engines.step_plan import PlannedStep
from welltuned.models.compat.torch_api import FlopCounterMode


class MeterState(TypedDict):
    """What a meter has added up so far."""

    flops_per_position: float
    outcome: dict[str, Any]


class Meter:
    """Adds up an `Outcome`, step by step.

    Floating-point operations are counted on one micro-batch, anew after each change
    of what trains, and extrapolated by tokens.
    """

    def __init__(self, total: int) -> None:
        self.outcome = Outcome()
        self.penalty = 0.0
        """Of the step under way."""
        self._total = total
        self._flops_per_position = 0.0
        self._started = 0.0
        self._examples = self._tokens = self._positions = 0

    def start(self) -> None:
        """A step begins."""
        self._started = time.perf_counter()
        self._examples = self._tokens = self._positions = 0

    def recount(self) -> None:
        """The set of trainable weights has changed, and with it the cost of a backward pass."""
        self._flops_per_position = 0.0

    def state(self) -> MeterState:
        """What it has added up so far, for `restore`."""
        return {"flops_per_position": self._flops_per_position, "outcome": asdict(self.outcome)}

    def restore(self, state: MeterState) -> None:
        """Go on from what another one had added up."""
        self._flops_per_position = state["flops_per_position"]
        for name, value in state["outcome"].items():
            setattr(self.outcome, name, value)

    @contextmanager
    def measuring(self, batch: dict[str, torch.Tensor]) -> Iterator[None]:
        """Around the forward and backward pass of a micro-batch."""
        positions = batch["input_ids"].numel()
        self._examples += len(batch.get(WINDOWS, batch["input_ids"]))  # texts, not their rows
        self._tokens += int(batch["attention_mask"].sum())
        self._positions += positions
        if self._flops_per_position:
            yield
            return
        with FlopCounterMode(display=False) as counter:
            yield
        self._flops_per_position = counter.get_total_flops() / positions

    def finish(self, planned: PlannedStep, loss: float, learning_rate: float, norm: float) -> Step:
        """The step is taken; returns it as an event."""
        seconds, outcome = time.perf_counter() - self._started, self.outcome
        examples, tokens, positions = map(
            int, distributed.totals(self._examples, self._tokens, self._positions)
        )
        outcome.steps, outcome.epochs = planned.number, planned.epoch_after
        outcome.seconds += seconds
        outcome.examples += examples
        outcome.tokens += tokens
        outcome.positions += positions
        outcome.flops += self._flops_per_position * positions
        return Step(
            step=planned.number,
            total=self._total,
            epoch=planned.epoch_after,
            loss=loss,
            penalty=self.penalty,
            learning_rate=learning_rate,
            gradient_norm=norm,
            examples=examples,
            tokens=tokens,
            seconds=seconds,
        )
