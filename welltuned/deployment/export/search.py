"""Search for a way to write a format that loses no more of the score than it may.

First every recipe of the format with all blocks quantised: of those that pass, the fastest is
taken. Where none passes, blocks are ranked by what leaving each alone in higher precision takes off
the error on validation, and the first one, two, four, … of them are left so. The search ends with
half of the blocks.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import nn

from welltuned.deployment.export.base import ExportJob
from welltuned.deployment.export.capture import Captured
from welltuned.deployment.export.proof import Judge, costs_beside, drop_beyond_limit, outputs_of
from welltuned.errors import Fault, RunFailed
from welltuned.runs.export_schema import ExportAttempt, RunningCost, ScoreProof

if TYPE_CHECKING:
    from welltuned.artifact.save_load import Artifact
    from welltuned.tasks import Examples

Batches = Sequence[Mapping[str, np.ndarray]]
"""Texts that ranges are measured on, one a batch."""
_RANKED_ON = 64
"""Validation examples that blocks are ranked on."""


class GraphWriter(Protocol):
    """What a format can do with a captured graph."""

    def recipes(self, precision: str) -> tuple[str, ...]:
        """Ways to reach a precision, of which the fastest that loses little is taken."""

    def can_keep(self, precision: str) -> bool:
        """Whether single blocks can stay in higher precision."""

    def calibration(self, artifact: Artifact, examples: Examples, inputs: Sequence[str]) -> Batches:
        """Training texts, one a batch, each as what the graph takes."""

    def blocks(self, captured: Captured) -> list[str]:
        """The blocks of a graph in which there is something to quantise, in order."""

    def build(
        self, captured: Captured, folder: Path, recipe: str, kept: frozenset[str], batches: Batches
    ) -> None:
        """Write the graph by a recipe; blocks that are `kept` stay in float."""

    def model_of(self, folder: Path, inputs: Sequence[str]) -> nn.Module:
        """What was written, as a model."""


@dataclass(frozen=True)
class Attempt:
    """One way of writing a format, written and judged."""

    recipe: str
    kept: tuple[str, ...]
    folder: Path
    score: ScoreProof
    costs: dict[str, RunningCost]
    """Of `original` and `exported`."""

    @property
    def passes(self) -> bool:
        return self.score["worst_drop"] <= self.score["limit"]

    @property
    def speed(self) -> float:
        return self.costs["exported"]["texts_per_second"]

    def as_dict(self) -> ExportAttempt:
        return {
            "recipe": self.recipe,
            "kept": list(self.kept),
            "drop": self.score["drop"],
            "worst_drop": self.score["worst_drop"],
            "texts_per_second": self.speed,
        }


@dataclass(frozen=True)
class PrecisionSearch:
    """Writes a captured graph in a format, in more and more precision."""

    format: GraphWriter
    captured: Captured
    judge: Judge
    job: ExportJob

    def run(self) -> tuple[Attempt, list[Attempt]]:
        """The attempt that is taken, and all. Raises `RunFailed` where none passes."""
        attempts: list[Attempt] = []
        for number, attempt in enumerate(self._attempts(attempts)):
            attempts.append(attempt)
            more_recipes = number + 1 < len(self.format.recipes(self.job.precision))
            if not more_recipes and any(one.passes for one in attempts):
                break
        passing = [one for one in attempts if one.passes]
        if not passing:
            raise RunFailed(self._refusal(attempts))
        return max(passing, key=lambda one: one.speed), attempts

    def _attempts(self, before: list[Attempt]) -> Iterator[Attempt]:
        for recipe in self.format.recipes(self.job.precision):
            yield self._try(recipe, ())
        if not self.format.can_keep(self.job.precision):
            return
        nearest = min(before, key=lambda one: one.score["worst_drop"])
        blocks = self._costliest(nearest.recipe)
        number = 1
        while number <= max(1, len(blocks) // 2):
            yield self._try(nearest.recipe, tuple(blocks[:number]))
            number *= 2

    def _try(self, recipe: str, kept: tuple[str, ...]) -> Attempt:
        self.job.tell(f"writing {recipe}" + (f", but for {', '.join(kept)}" if kept else ""))
        folder, model = self._written(recipe, kept)
        self.job.tell("measuring its score, latency and throughput")
        score = self.judge.score(model, self.job.drop)
        costs = costs_beside(model, _size(folder), self.judge)
        return Attempt(recipe, kept, folder, score, costs)

    def _written(self, recipe: str, kept: tuple[str, ...]) -> tuple[Path, nn.Module]:
        """A folder with the format's files, and what they answer as."""
        number = len(list(self.captured.file.parent.iterdir()))
        folder = self.captured.file.parent / f"attempt-{number}"
        folder.mkdir()
        texts, inputs = self.judge.data.calibration, self.captured.inputs
        batches = self.format.calibration(self.judge.artifact, texts, inputs)
        self.format.build(self.captured, folder, recipe, frozenset(kept), batches)
        return folder, self.format.model_of(folder, inputs)

    def _costliest(self, recipe: str) -> list[str]:
        """Blocks by what leaving each alone in higher precision takes off the error, most first."""
        examples = self.judge.data.validation
        few = examples.take(range(min(_RANKED_ON, len(examples))))
        wanted_NK = self.judge.validation_NK[: len(few)]
        errors: dict[str, float] = {}
        for block in self.format.blocks(self.captured):
            self.job.tell(f"trying {block} in higher precision")
            folder, model = self._written(recipe, (block,))
            found_NK = outputs_of(model, self.judge.artifact, few)
            errors[block] = float(np.square(found_NK - wanted_NK).mean())
            shutil.rmtree(folder)
        return sorted(errors, key=lambda block: errors[block])

    def _refusal(self, attempts: list[Attempt]) -> Fault:
        best = min(attempts, key=lambda one: one.score["worst_drop"])
        return drop_beyond_limit(best.score, best.recipe, self.job.target)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
