"""Rewards: models and functions that judge, and rules, one file each, named in `REWARDS`."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

from welltuned.rlhf.rewards.base import Check, Columns, RewardSource
from welltuned.rlhf.rewards.contains import Contains
from welltuned.rlhf.rewards.final_number import FinalNumber
from welltuned.rlhf.rewards.judge import JudgeSource
from welltuned.rlhf.rewards.language import InLanguage
from welltuned.rlhf.rewards.length import Length
from welltuned.rlhf.rewards.pattern import Pattern
from welltuned.rlhf.rewards.unit_tests import UnitTests
from welltuned.rlhf.rewards.valid_json import ValidJson
from welltuned.schema.plugins import OneOf

REWARDS = OneOf(
    "rewards",
    RewardSource,
    JudgeSource,
    FinalNumber,
    Pattern,
    ValidJson,
    Length,
    InLanguage,
    Contains,
    UnitTests,
    default="judge",
)


def as_source(value: object) -> object:
    """A reward as a mapping: a word is the type of a rule, else the folder of a finished run.

    `run: TYPE` is read alike, for that is how a word with keys beside it is spelled out; a folder
    of such a name is written `./TYPE`.
    """
    if isinstance(value, str):
        value = {"run": value}
    if isinstance(value, dict) and value.get("run") in REWARDS.names:
        run, rest = value["run"], {key: one for key, one in value.items() if key != "run"}
        if rest.get("type", run) == run:
            return {**rest, "type": run}
    return value


def as_sources(values: object) -> list[object]:
    """One reward, or several."""
    several = values if isinstance(values, (list, tuple)) else [values]
    return [as_source(value) for value in several]


OneReward = Annotated[RewardSource, REWARDS, BeforeValidator(as_source)]
AnyRewards = Annotated[tuple[Annotated[RewardSource, REWARDS], ...], BeforeValidator(as_sources)]

__all__ = [
    "REWARDS",
    "AnyRewards",
    "Check",
    "Columns",
    "JudgeSource",
    "OneReward",
    "RewardSource",
    "as_source",
]
