"""What algorithms share that compare each response with others to the same prompt.

No value head: what a prompt is worth shows in the group of responses to it, which are neighbours
in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from welltuned.engines.config import Positive
from welltuned.rlhf.algorithms.base import Algorithm
from welltuned.schema.part import conflict

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout

_EQUAL = 1e-8
"""Scores of a group that are no further apart are the same."""


@dataclass(frozen=True)
class Compared:
    """A scored rollout: how much better each response is than the others of its group."""

    rollout: Rollout
    advantages_B: torch.Tensor
    kl_coef: float
    equal_groups: float
    """The share of groups whose scores are all the same, so that nothing follows from them."""


class GroupAlgorithm(Algorithm):
    """Options of all of them. Keys have TRL's names."""

    num_generations: int = Field(default=8, ge=1)
    """Responses to each prompt, two at least; `batch_size` is a multiple of it."""
    num_iterations: int = Field(default=1, ge=1)
    """Passes over each batch."""
    epsilon: Positive = 0.2
    """How far the ratio π / π_old may leave 1 before its gradient is cut off."""
    epsilon_high: Positive | None = None
    """The same above 1, where it differs: more lets unlikely tokens grow (DAPO has 0.28)."""

    @property
    def samples_per_prompt(self) -> int:
        return self.num_generations

    @property
    def passes(self) -> int:
        return self.num_iterations

    def facts(self, experience: Compared) -> dict[str, float]:
        return {"equal_groups": experience.equal_groups}

    @model_validator(mode="after")
    def _has_company(self) -> GroupAlgorithm:
        if self.num_generations < 2:
            raise conflict(
                "rlhf.group_of_one",
                "'rl.num_generations' is {number}, but a response is compared with others to the "
                "same prompt",
                "make it 2 or more",
                number=self.num_generations,
            )
        return self


def in_groups(values_B: torch.Tensor, size: int) -> torch.Tensor:
    """A value of each response, by prompt (P, G)."""
    return values_B.view(-1, size)


def share_equal(scores_PG: torch.Tensor) -> float:
    """In which share of the groups all scores are the same."""
    spread_P = scores_PG.amax(dim=1) - scores_PG.amin(dim=1)
    return float((spread_P <= _EQUAL).float().mean())
