"""Stage configs: what a run of the pipeline may set for itself, and supervised fine-tuning."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from welltuned.data.config import DataConfig
from welltuned.engines.config import TrackerNames, TrainingConfig
from welltuned.evaluation.config import EvaluationConfig
from welltuned.models.config import ModelConfig
from welltuned.schema.part import Part, conflict
from welltuned.schema.validation import expand_shorthand
from welltuned.strategies import AnyStrategy


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
