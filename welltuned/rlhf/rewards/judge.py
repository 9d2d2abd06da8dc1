"""Judges: a reward model that is trained, a finished run, any classifier, or a function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.rlhf.rewards.base import RewardSource
from welltuned.rlhf.stage_config import Stage
from welltuned.schema.import_path import RunsCode, load_callable
from welltuned.schema.part import conflict
from welltuned.schema.units import Duration
from welltuned.tasks import AnyTask

_OF_FUNCTIONS = ("columns", "time_limit")
"""Keys that only a function reads."""


class JudgeSource(RewardSource, Stage):
    """One judge: a `task: reward` run, any classifier, or a function; times its weight."""

    shorthand: ClassVar[str | None] = "run"
    goes_without_type: ClassVar[bool] = True

    type: Literal["judge"] = "judge"
    task: AnyTask | None = None
    """How a judge is trained. Without a type it is `reward`; with `classification` the
    log-odds of `label` are the reward."""
    function: Annotated[str, RunsCode()] | None = Field(
        default=None, examples=["mine.rewards.brevity"]
    )
    """A Python function `(prompts, responses) -> rewards` by import path; with `columns` it is
    `(prompts, responses, columns) -> rewards`."""
    columns: tuple[str, ...] = Field(default=(), examples=[["answer"]])
    """For functions: columns of the prompts' file that it is given as well, as `{name: cells}`."""
    time_limit: Duration | None = Field(default=None, examples=["60s"])
    """For functions: the longest time that one call may take. The run then ends, saved, and can be
    resumed."""
    label: str | None = Field(default=None, examples=["positive"])
    """For classifiers: the label whose log-odds are the reward."""
    score: Literal["log_odds", "probability"] = "log_odds"
    """For classifiers: log p − log(1 − p) of the label, or p itself."""
    reads: Literal["text", "response", "pair"] = "text"
    """For classifiers: prompt and response as one text, the response alone, or both as a pair."""

    @model_validator(mode="before")
    @classmethod
    def _reward_unless_told(cls, values: Any) -> Any:
        task = values.get("task") if isinstance(values, dict) else None
        if isinstance(task, dict) and "type" not in task:
            return {**values, "task": {"type": "reward", **task}}
        return values

    @property
    def kind(self) -> Literal["run", "function", "model", "trained"]:
        if self.function is not None:
            return "function"
        if self.run is not None:
            return "run"
        return "model" if self.trained_keys == ["model"] else "trained"

    @property
    def name(self) -> str:
        named = {"run": self.run, "function": self.function}
        return str(named.get(self.kind) or (self.model.name if self.model else "reward model"))

    @property
    def needed_columns(self) -> tuple[str, ...]:
        return self.columns

    def made_in(self, folder: Path | None) -> Path | None:
        return Path(self.run).expanduser() if self.run is not None else folder

    def require(self) -> None:
        if self.function is not None:
            load_callable(self.function, "reward")

    @model_validator(mode="after")
    def _one_way(self) -> JudgeSource:
        ways = [way for way in ("run", "function", "data") if getattr(self, way) is not None]
        if len(ways) > 1:
            raise conflict(
                "rlhf.reward_ambiguous",
                "'reward' has both {ways}",
                "keep one of them",
                ways=" and ".join(ways),
            )
        if self.kind in ("run", "function") and self.trained_keys:
            raise conflict(
                "rlhf.reward_key_unused",
                "'reward.{kind}' is not trained here, so '{key}' is not read",
                "keep one of them",
                kind=self.kind,
                key=self.trained_keys[0],
            )
        if self.kind == "trained" and self.data is None:
            raise conflict(
                "rlhf.reward_without_source",
                "'reward' names neither data to train a reward model on nor a finished one",
                "give data, run, model or function, or the type of a reward by rule",
            )
        return self

    @model_validator(mode="after")
    def _of_its_kind(self) -> JudgeSource:
        if self.kind == "function" and self.label is not None:
            raise conflict(
                "rlhf.reward_label_of_function", "'reward.label' requires a classifier", "remove it"
            )
        unread = [key for key in _OF_FUNCTIONS if getattr(self, key)]
        if self.kind != "function" and unread:
            raise conflict(
                "rlhf.reward_key_of_functions",
                "'reward.{key}' is only read where the reward is a function",
                "remove it",
                key=unread[0],
            )
        return self
