"""What a pipeline holds beside a run: its stages, and the memory of RL roles."""

from __future__ import annotations

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED


@with_config(CLOSED)
class PolicyMemory(TypedDict):
    """What the roles of an RL stage hold, in bytes."""

    roles: dict[str, int]
    """By role; what two of them share counts for the first."""
    shared_with_judges: int
    """What reward models share with the policy."""


@with_config(CLOSED)
class RewardStage(TypedDict):
    """A reward of a pipeline."""

    name: str
    """Its name."""
    weight: float
    """Its weight in the sum of rewards."""
    run: str | None
    """The run it comes from, as seen from the pipeline's folder; null where it is no run."""


@with_config(CLOSED)
class Stages(TypedDict):
    """The runs of a pipeline, as seen from its folder."""

    sft: str | None
    """The run of supervised fine-tuning; null where that was skipped."""
    reward: list[RewardStage]
    """All rewards."""
    rl: str
    """The run of reinforcement learning."""
