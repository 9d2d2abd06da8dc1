"""RlhfConfig: the three stages of a pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from welltuned.config import ReportConfig
from welltuned.data.config import DataConfig
from welltuned.models.config import ModelConfig
from welltuned.rlhf.algorithms import AnyAlgorithm, default_algorithm
from welltuned.rlhf.rewards import AnyRewards
from welltuned.rlhf.stage_config import SftStage, StagesTraining
from welltuned.schema.part import Part, conflict
from welltuned.strategies import AnyStrategy
from welltuned.tasks import DEFAULT_TASK, AnyTask

SKIP = "skip"


class RlhfConfig(Part):
    """Supervised fine-tuning, then a reward model, then reinforcement learning."""

    pipeline: Literal["rlhf"] = "rlhf"
    """Makes a config one of a pipeline."""
    model: ModelConfig
    """The pretrained model to start from."""
    data: DataConfig
    """Examples for supervised fine-tuning; their inputs are the prompts of the policy."""
    task: AnyTask = Field(default=DEFAULT_TASK, examples=["generation"])
    """What the policy does: classification, or generation."""
    strategy: AnyStrategy | None = None
    """Which weights train, in every stage that does not say otherwise."""
    sft: SftStage = SftStage()
    """Supervised fine-tuning: what differs, a finished run's folder, or `skip`."""
    reward: AnyRewards = Field(examples=["runs/reward"])
    """What is rewarded: a judge (what it is trained on, a finished run, a classifier, a function),
    a rule by its type, or a list of these with weights."""
    rl: AnyAlgorithm = Field(default_factory=default_algorithm)
    """Reinforcement learning: an algorithm and its options. `ppo: {…}`, or any other algorithm's
    name, is short for `rl: {type: ppo, …}`."""
    training: StagesTraining = StagesTraining()
    """What the stages have in common; each has hyper-parameters of its own."""
    engine: Literal["torch", "hf"] = Field(default="torch", examples=["torch"])
    """Reinforcement learning runs on torch. The other stages take an engine of their own."""
    report: ReportConfig = ReportConfig()
    """How the reports of the pipeline and of its runs are written."""
    output_dir: str | None = Field(default=None, examples=["runs/mine"])
    """The pipeline's folder; its runs are in stages/. Without one: runs/DATA-rlhf-N."""

    @property
    def skips_sft(self) -> bool:
        return self.sft.run == SKIP

    @model_validator(mode="after")
    def _possible(self) -> RlhfConfig:
        self.task.check_policy()
        if self.engine == "hf":
            raise conflict(
                "rlhf.engine_unsupported",
                "reinforcement learning does not run on 'engine: hf': Trainer's loop takes its "
                "batches from a data set, while these are sampled from the current policy",
                "remove engine; sft and reward take 'engine: hf' of their own",
            )
        if self.skips_sft and self.task.actions == "label":
            raise conflict(
                "rlhf.sft_skipped_for_classifier",
                "'sft: skip' leaves a classifier with an untrained head, which no reward can fix",
                "remove it, or name a finished run",
            )
        if self.rl.scores_every_action and self.task.actions == "text":
            raise conflict(
                "rlhf.algorithm_of_labels",
                "'rl: {algorithm}' sums over all actions, and there are too many texts",
                "use an algorithm that samples",
                algorithm=self.rl.type,
            )
        if not self.reward:
            raise conflict(
                "rlhf.no_reward", "'reward' is empty", "give data, run, model, function or a rule"
            )
        return self
