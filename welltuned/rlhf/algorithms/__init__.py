"""RL algorithms: one file each, named in `ALGORITHMS`."""

from __future__ import annotations

from typing import Annotated

from welltuned.rlhf.algorithms.base import Algorithm
from welltuned.rlhf.algorithms.exact import Exact
from welltuned.rlhf.algorithms.grpo import Grpo
from welltuned.rlhf.algorithms.ppo import Ppo
from welltuned.rlhf.algorithms.rloo import Rloo
from welltuned.schema.plugins import OneOf

ALGORITHMS = OneOf("algorithms", Algorithm, Ppo, Grpo, Rloo, Exact, default="ppo")
AnyAlgorithm = Annotated[Algorithm, ALGORITHMS]


def default_algorithm() -> Algorithm:
    """What a pipeline uses that names none."""
    return Ppo()


__all__ = ["ALGORITHMS", "Algorithm", "AnyAlgorithm", "default_algorithm"]
