"""Partial fine-tuning: the head and the top blocks train, the rest stays frozen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from welltuned.errors import Fault, InputError
from welltuned.schema.part import conflict
from welltuned.schema.search_space import Range
from welltuned.strategies.base import Context, Strategy, UpdateKind

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy


class Partial(Strategy):
    """The top `num_blocks` blocks train (0: the head alone), or what matches `patterns`."""

    rl_learning_rate: ClassVar[float | None] = 3e-5

    type: Literal["partial"] = "partial"
    num_blocks: Annotated[int | None, Range(1, 4)] = Field(default=None, ge=0)
    """How many blocks train, counted from the top. Default 2, unless `patterns` are given."""
    patterns: tuple[str, ...] = Field(default=(), examples=[["attention"]])
    """Regular expressions searched in parameter names; matching parameters train, and the head."""
    embeddings: bool = False
    """Whether the embeddings train too."""

    @field_validator("patterns")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise conflict(
                    "strategy.bad_pattern",
                    "'{pattern}' in strategy.patterns is not a regular expression: {reason}",
                    "fix it, or escape what is meant literally",
                    pattern=pattern,
                    reason=error,
                ) from error
        return patterns

    @model_validator(mode="after")
    def _one_way(self) -> Partial:
        if self.patterns and self.num_blocks is not None:
            raise conflict(
                "strategy.num_blocks_and_patterns",
                "'strategy.num_blocks' and 'strategy.patterns' contradict each other",
                "keep one of them",
            )
        return self

    @property
    def depth(self) -> int:
        """How many blocks train when no pattern says otherwise."""
        return 2 if self.num_blocks is None else self.num_blocks

    @property
    def update_kind(self) -> UpdateKind:
        return "weights" if self.patterns or self.depth or self.embeddings else "nothing"

    def check(self, anatomy: Anatomy) -> Iterator[Fault]:
        if not self.patterns and self.depth and anatomy.shared_layers is not None:
            yield from self.needs_blocks(anatomy)
            return
        if not anatomy.head and not self.patterns and self.depth == 0 and not self.embeddings:
            yield Fault(
                "strategy.nothing_trains",
                "'strategy.num_blocks' is 0, but this task has no new head, so nothing would train",
                None,
                "choose 1 or more",
            )
        if not self.patterns and self.depth > anatomy.num_blocks:
            yield Fault(
                "strategy.too_many_blocks",
                "'strategy.num_blocks' is {number}, but the model has {blocks} blocks",
                None,
                "choose 0 to {blocks}{or_all}",
                number=self.depth,
                blocks=anatomy.num_blocks,
                or_all="",
            )

    def prepare(self, model: PreTrainedModel, context: Context) -> PreTrainedModel:
        anatomy = context.anatomy
        unused = set(self.patterns)
        for name, parameter in model.named_parameters():
            matching = {pattern for pattern in self.patterns if re.search(pattern, name)}
            unused -= matching
            parameter.requires_grad_(
                bool(matching) or self._trains_at(anatomy.depth(name), anatomy)
            )
        if unused:
            names = ", ".join(block.name for block in anatomy.blocks[-2:])
            raise InputError(
                Fault(
                    "strategy.pattern_unmatched",
                    "no parameter's name matches {patterns}",
                    None,
                    "names look like {names}.…",
                    patterns=sorted(unused),
                    names=names,
                )
            )
        return model

    def _trains_at(self, depth: int, anatomy: Anatomy) -> bool:
        if depth == 0:
            return True
        if depth > anatomy.num_blocks:
            return self.embeddings
        return not self.patterns and depth <= self.depth
