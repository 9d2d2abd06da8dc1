"""LP-FT: linear probing, then fine-tuning (Kumar et al. 2022, arXiv 2202.10054).

A new head is random, and its first gradients distort good features. When the head is trained before
them, they change less, and do better away from the training data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from welltuned.errors import Fault
from welltuned.protection.base import CheckContext, Guard, GuardContext, Protection
from welltuned.strategies import Progress

if TYPE_CHECKING:
    from torch import nn


class LPFT(Protection):
    """LP-FT: train the new head alone at first (linear probing), then as the strategy says."""

    works_on_parts: ClassVar[bool] = True

    type: Literal["lp_ft"] = "lp_ft"
    share: float = Field(default=0.3, gt=0, lt=1)
    """The share of all optimizer steps that train the head alone."""

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        if not setting.anatomy.head:
            yield self.fault(
                "protection.lp_ft_without_head",
                "trains the new head first, but this task has none",
                "remove it",
            )
        elif setting.strategy.contrast is not None:
            yield self.fault(
                "protection.lp_ft_with_contrast",
                "trains the new head first, which strategy '{strategy}' solves for at the end",
                "remove it",
                strategy=setting.strategy.type,
            )
        elif setting.strategy.starts_with_head:
            yield self.fault(
                "protection.lp_ft_with_schedule",
                "does not support strategy '{strategy}', which already begins with the head",
                "set strategy.schedule",
                strategy=setting.strategy.type,
            )
        elif setting.strategy.trains_head_alone:
            yield self.fault(
                "protection.lp_ft_head_only", "would train only the head throughout", "remove it"
            )

    def guard(self, scene: GuardContext) -> Guard:
        anatomy = scene.subject.anatomy
        body = [
            parameter
            for name, parameter in scene.model.named_parameters()
            if id(parameter) in scene.training and anatomy.depth(name) > 0
        ]
        return HeadFirst(body, self.share)


class HeadFirst(Guard):
    """Freezes everything but the head for the first part of training."""

    def __init__(self, body: list[nn.Parameter], share: float) -> None:
        self._body = body
        self._share = share

    def advance(self, progress: Progress) -> str | None:
        trains = progress.fraction >= self._share
        if all(parameter.requires_grad == trains for parameter in self._body):
            return None
        for parameter in self._body:
            parameter.requires_grad_(trains)
        return "unfroze everything below the head" if trains else "the head alone trains"
