"""Gradual unfreezing: the head first, then block after block from the top.

After ULMFiT (Howard & Ruder 2018, arXiv 1801.06146), with its discriminative learning rates. The
unfreezing depth is a pure function of progress, so a resumed run is in the right phase by
construction.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from welltuned.errors import Fault
from welltuned.schema.part import conflict
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, Progress, Strategy, UpdateKind

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy


class Gradual(Strategy):
    """Unfreezes the head first, then, at each point of the schedule, one more block."""

    rl_learning_rate: ClassVar[float | None] = 3e-5
    starts_with_head: ClassVar[bool] = True
    deepens: ClassVar[bool] = True

    type: Literal["gradual"] = "gradual"
    unit: Literal["fraction", "epoch"] = "fraction"
    """The unit of `schedule`: the fraction of all training, or epochs."""
    schedule: tuple[float, ...] | Literal["auto"] = Field(default="auto", examples=[(0.1, 0.2)])
    """When the next block is unfrozen, in ascending order: [0.1, 0.2] or [1, 2, 3].
    auto: `blocks` at even distances over the first `until`, or one an epoch."""
    until: Annotated[float, Range(0.2, 0.8)] = Field(default=0.5, gt=0, le=1)
    """For the automatic schedule in fractions: the point by which all its blocks are unfrozen."""
    num_blocks: int | Literal["all"] = "all"
    """How many blocks the automatic schedule unfreezes."""
    embeddings: bool = False
    """Whether the embeddings are unfrozen as the last step."""
    layer_decay: Annotated[float, Range(0.7, 1.0)] = Field(default=0.9, gt=0, le=1)
    """Layer-wise learning-rate decay: a block's rate is the one above it times this."""

    @field_validator("schedule")
    @classmethod
    def _ascending(
        cls, schedule: tuple[float, ...] | Literal["auto"]
    ) -> tuple[float, ...] | Literal["auto"]:
        if schedule != "auto" and (
            not schedule or list(schedule) != sorted(set(schedule)) or schedule[0] < 0
        ):
            raise conflict(
                "strategy.schedule_not_ascending",
                "the points of 'strategy.schedule' must be in ascending order, from 0 or more",
                "for example [0.1, 0.2, 0.3]",
            )
        return schedule

    @property
    def update_kind(self) -> UpdateKind:
        only_head = self.schedule == "auto" and self.num_blocks == 0 and not self.embeddings
        return "nothing" if only_head else "weights"

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if anatomy.shared_layers is not None:
            yield from self.needs_blocks(anatomy)
            return
        limit = anatomy.num_blocks
        if self.num_blocks != "all" and not 0 <= self.num_blocks <= limit:
            yield Fault(
                "strategy.too_many_blocks",
                "'strategy.num_blocks' is {number}, but the model has {blocks} blocks",
                None,
                "choose 0 to {blocks}{or_all}",
                number=self.num_blocks,
                blocks=limit,
                or_all=", or all",
            )
        if not anatomy.head and self.schedule == "auto" and self.num_blocks == 0:
            yield Fault(
                "strategy.nothing_trains",
                "'strategy.num_blocks' is 0, but this task has no new head, so nothing would train",
                None,
                "choose 1 or more",
            )
        steps = len(self.points(anatomy))
        if steps + _start(anatomy) > limit + self.embeddings:
            yield Fault(
                "strategy.too_many_points",
                "'strategy.schedule' has {points} points, but the model has {blocks} blocks{note}",
                None,
                "give at most one point per block",
                points=steps,
                blocks=limit,
                note="" if anatomy.head else ", and the top one trains from the start",
            )
        if self.schedule != "auto" and self.unit == "fraction" and self.schedule[-1] >= 1:
            yield Fault(
                "strategy.schedule_past_the_end",
                "'strategy.schedule' reaches 1 or more in fractions of training",
                None,
                "use points below 1, or unit: epoch",
            )

    def points(self, anatomy: Anatomy) -> list[float]:
        """The moments, in `unit`, at which one more step down is unfrozen."""
        if self.schedule != "auto":
            return list(self.schedule)
        blocks = anatomy.num_blocks if self.num_blocks == "all" else self.num_blocks
        steps = blocks + self.embeddings - _start(anatomy)
        if self.unit == "epoch":
            return [float(epoch) for epoch in range(1, steps + 1)]
        return [self.until * step / steps for step in range(1, steps + 1)]

    def depth_at(self, progress: Progress, anatomy: Anatomy) -> int:
        """How deep training reaches.

        0 the head alone, k the top k blocks, one more for the embeddings.
        """
        now = progress.fraction if self.unit == "fraction" else progress.epoch
        points = self.points(anatomy)
        passed = bisect_right(points, now + 1e-9)
        if self.embeddings and passed == len(points):
            return anatomy.num_blocks + 1
        return _start(anatomy) + passed

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        self._unfreeze(model, context.anatomy, self.depth_at(Progress(0.0, 0.0), context.anatomy))
        return model

    def advance(self, model: nn.Module, anatomy: Anatomy, progress: Progress) -> str | None:
        depth = self.depth_at(progress, anatomy)
        if not self._unfreeze(model, anatomy, depth):
            return None
        return f"unfroze {anatomy.region(depth)}"

    def ever_trains(self, name: str, parameter: nn.Parameter, anatomy: Anatomy) -> bool:
        return anatomy.depth(name) <= self.depth_at(Progress(1.0, float("inf")), anatomy)

    def learning_rate_scale(self, name: str, anatomy: Anatomy) -> float:
        depth = anatomy.depth(name)
        return self.head_scale if depth == 0 else self.layer_decay ** (depth - 1)

    @staticmethod
    def _unfreeze(model: nn.Module, anatomy: Anatomy, depth: int) -> bool:
        """Let exactly what lies at or above `depth` train.

        Returns whether that changed anything.
        """
        changed = False
        for name, parameter in model.named_parameters():
            trains = anatomy.depth(name) <= depth
            changed |= parameter.requires_grad != trains
            parameter.requires_grad_(trains)
        return changed


def _start(anatomy: Anatomy) -> int:
    """The depth at which training begins: the new head or, where there is none, the top block."""
    return 0 if anatomy.head else 1
