"""Replay: earlier training examples (`data.replay`) mixed into the new ones.

The oldest protection (Robins 1995, "Catastrophic forgetting, rehearsal and
pseudorehearsal") and a strong one: a few percent are often enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from welltuned.errors import Fault
from welltuned.protection.base import CheckContext, Protection


class Replay(Protection):
    """Experience replay: mix examples of `data.replay` into training."""

    works_on_parts: ClassVar[bool] = True

    type: Literal["replay"] = "replay"
    share: float = Field(default=0.1, gt=0, lt=1)
    """The share of replay examples in an epoch."""

    @property
    def uses_replay(self) -> bool:
        return True

    @property
    def replay_share(self) -> float | None:
        return self.share

    def check(self, setting: CheckContext) -> Iterator[Fault]:
        if not setting.has_replay:
            yield self.fault(
                "protection.needs_replay",
                "{mode}needs replay examples",
                "name them in data.replay",
                mode="",
            )


def replayed(number: int, available: int, share: float, seed: int) -> list[int]:
    """Which of the available examples go beside `number` of the task's own.

    So many that they are `share` of all, to the nearest whole one, and one at least. Every
    one is taken once before any is taken again.
    """
    wanted = max(1, round(number * share / (1 - share)))
    random = np.random.default_rng(seed)
    rounds = [random.permutation(available) for _ in range(-(-wanted // available))]
    return np.concatenate(rounds)[:wanted].tolist()
