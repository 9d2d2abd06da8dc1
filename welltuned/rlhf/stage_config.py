"""Stage configs: supervised fine-tuning, and where rewards come from."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from welltuned.data.config import DataConfig
from welltuned.engines.config import TrackerNames, TrainingConfig
from welltuned.evaluation.config import EvaluationConfig
from welltuned.models.loading import ModelConfig
from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import Part, conflict
from welltuned.schema.validation import expand_shorthand
from welltuned.strategies import AnyStrategy
from welltuned.tasks import AnyTask


class Nested(Part):
    """A part whose own parts may be written in their short forms."""

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, values: Any) -> Any:
        return expand_shorthand(cls, values) if isinstance(values, dict) else values


class StagesTraining(Part):
    """What holds for the training of every stage."""

    report_to: TrackerNames = Field(default=(), examples=[["tensorboard"]])
    """Trackers that are told of every stage, reinforcement learning too; `sft.training.report_to`
    and `reward.training.report_to` name others for theirs."""


class Stage(Nested):
    """A run of the pipeline: what differs from the pipeline's own keys, or a finished run."""

    shorthand: ClassVar[str | None] = "run"

    run: str | None = Field(default=None, examples=["runs/mine"])
    """The folder of a finished run to use instead."""
    model: ModelConfig | None = None
    """Another pretrained model than the pipeline's."""
    data: DataConfig | None = None
    """Other data than the pipeline's."""
    strategy: AnyStrategy | None = None
    """Another strategy than the pipeline's."""
    training: TrainingConfig = TrainingConfig()
    """Hyper-parameters."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """What is measured."""
    engine: Literal["torch", "hf"] = "torch"
    """The training loop that runs the steps."""

    @model_validator(mode="after")
    def _in_one_process(self) -> Self:
        if self.training.sharding is not None:
            raise conflict(
                "rlhf.sharding_unsupported",
                "'training.sharding' is for runs of several processes, and a pipeline has one: its "
                "policy writes one token after another, and would gather all weights for each",
                "train that stage as a run of its own and name it: `run: runs/mine`; or use lora",
            )
        return self

    @property
    def trained_keys(self) -> list[str]:
        """The keys that differ from their defaults and that only a run to be trained reads."""
        read = ("model", "data", "task", "strategy", "training", "evaluation", "engine")
        fields = type(self).model_fields
        return [key for key in read if key in fields and getattr(self, key) != fields[key].default]


class SftStage(Stage):
    """Supervised fine-tuning. With `skip` the policy starts as the pretrained model itself."""

    @model_validator(mode="after")
    def _one_way(self) -> SftStage:
        if self.run is not None and self.trained_keys:
            raise conflict(
                "rlhf.sft_key_unused",
                "'sft.run' names a finished run, so '{key}' is not read",
                "keep one of them",
                key=self.trained_keys[0],
            )
        return self


class RewardSource(Stage):
    """One judge: a `task: reward` run, any classifier, or a function; times its weight."""

    task: AnyTask | None = None
    """How a judge is trained. Without a type it is `reward`; with `classification` the
    log-odds of `label` are the reward."""
    function: Annotated[str, RunsCode()] | None = Field(
        default=None, examples=["mine.rewards.brevity"]
    )
    """A Python function `(prompts, responses) -> rewards` by import path."""
    label: str | None = Field(default=None, examples=["positive"])
    """For classifiers: the label whose log-odds are the reward."""
    score: Literal["log_odds", "probability"] = "log_odds"
    """For classifiers: log p − log(1 − p) of the label, or p itself."""
    reads: Literal["text", "response", "pair"] = "text"
    """For classifiers: prompt and response as one text, the response alone, or both as a pair."""
    weight: float = 1.0
    """What its rewards are multiplied by."""

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
        """What people call it."""
        named = {"run": self.run, "function": self.function}
        return str(named.get(self.kind) or (self.model.name if self.model else "reward model"))

    @model_validator(mode="after")
    def _one_way(self) -> RewardSource:
        ways = [
            name
            for name, given in (
                ("run", self.run is not None),
                ("function", self.function is not None),
                ("data", self.data is not None),
            )
            if given
        ]
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
                "give data, run, model or function",
            )
        if self.kind == "function" and self.label is not None:
            raise conflict(
                "rlhf.reward_label_of_function", "'reward.label' requires a classifier", "remove it"
            )
        return self


def ensure_list(values: object) -> list[object]:
    """One judge, or several; each may be written as the folder of a run alone."""
    several = values if isinstance(values, (list, tuple)) else [values]
    return [{"run": item} if isinstance(item, str) else item for item in several]
