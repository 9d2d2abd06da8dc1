"""RlhfConfig: the three stages of a pipeline."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from welltuned.data.config import DataConfig
from welltuned.engines.config import NotNegative, Positive, TrainingConfig
from welltuned.evaluation.config import EvaluationConfig
from welltuned.models.loading import ModelConfig
from welltuned.schema.document import Part, conflict, expand_shorthand
from welltuned.strategies import AnyStrategy
from welltuned.tasks import DEFAULT_TASK, AnyTask

Share = Annotated[float, Field(ge=0, le=1)]
SKIP = "skip"


class _Nested(Part):
    """A part whose own parts may be written in their short forms."""

    @model_validator(mode="before")
    @classmethod
    def _spell_out(cls, values: Any) -> Any:
        return expand_shorthand(cls, values) if isinstance(values, dict) else values


class Stage(_Nested):
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
    """Who turns the crank."""

    @property
    def trained_keys(self) -> list[str]:
        """The keys that differ from their defaults and that only a run to be trained reads."""
        read = ("model", "data", "task", "strategy", "training", "evaluation", "engine")
        fields = type(self).model_fields
        return [key for key in read if key in fields and getattr(self, key) != fields[key].default]


class SftStage(Stage):
    """Supervised fine-tuning. `skip` starts PPO from the pretrained model itself."""

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
    function: str | None = Field(default=None, examples=["mine.rewards.brevity"])
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


def ensure_list(values: Any) -> Any:
    """One judge, or several; each may be written as the folder of a run alone."""
    several = values if isinstance(values, (list, tuple)) else [values]
    return [{"run": item} if isinstance(item, str) else item for item in several]


class PpoConfig(_Nested):
    """Proximal policy optimisation. Keys have TRL's names where it has them."""

    strategy: AnyStrategy | None = None
    """Which weights of the policy train. Default: the pipeline's, else that of the SFT run."""
    data: DataConfig | None = None
    """Where the prompts are. Default: the pipeline's data."""
    gradient: Literal["sampled", "exact"] = "sampled"
    """For classifiers. sampled: an action is drawn and judged; exact: all labels are judged
    and the gradient is the sum over them."""

    total_episodes: int | Literal["auto"] = Field(default="auto", examples=[10_000])
    """Responses in all. auto: three passes over the training prompts."""
    batch_size: int = Field(default=64, ge=2)
    """Responses per batch: sampled by one policy, judged, and then learned from."""
    num_ppo_epochs: int = Field(default=4, ge=1)
    """Passes over each batch."""
    num_mini_batches: int = Field(default=1, ge=1)
    """Optimizer steps per pass."""
    per_device_train_batch_size: int = Field(default=16, ge=1)
    """Responses per forward pass when learning; it changes no step."""
    rollout_batch_size: int = Field(default=64, ge=1)
    """Responses per forward pass when sampling and judging."""

    learning_rate: Positive | Literal["auto"] = "auto"
    """The peak learning rate of the policy."""
    value_learning_rate: Positive = 1e-3
    """That of the value head, which starts at zero."""
    lr_scheduler_type: Literal["linear", "constant"] = "linear"
    """linear: down to zero over all batches."""
    weight_decay: NotNegative = 0.0
    """AdamW's decay of matrices; biases and norms never decay."""
    adam_epsilon: float = Field(default=1e-5, gt=0)
    """As in OpenAI's and TRL's reference runs; AdamW's usual 1e-8 makes larger first steps."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradients are scaled down to this norm; 0 leaves them alone."""

    kl_coef: NotNegative = 0.05
    """β: every token's reward is lowered by β · log(π / π_ref)."""
    kl_target: Positive | None = None
    """Nats per response that β is steered to; none keeps β fixed."""
    kl_horizon: int = Field(default=10_000, ge=1)
    """How slowly: responses over which β moves by a fifth at most."""
    cliprange: Positive = 0.2
    """How far the ratio π / π_old may leave 1 before a token's gradient is cut off."""
    cliprange_value: Positive = 0.2
    """The same for values, in their own units."""
    vf_coef: NotNegative = 0.1
    """The weight of the value loss."""
    entropy_coef: NotNegative = 0.0
    """The weight of the policy's entropy, which is then rewarded."""
    gamma: Share = 1.0
    """The discount of later rewards."""
    lam: Share = 0.95
    """GAE's λ: 1 trusts returns alone, 0 values alone."""
    whiten_rewards: bool = False
    """Divide the rewards of a batch by their deviation; their mean stays."""
    target_kl: Positive | None = None
    """Stop the passes over a batch once the policy has moved so far from the one that
    sampled it, in nats per token."""

    temperature: Positive = 1.0
    """Sampling and scoring both divide logits by it; there is no top-k and no top-p."""
    response_length: int = Field(default=53, ge=1)
    """For generation: the longest response in tokens."""
    prompt_length: int = Field(default=8, ge=1)
    """For texts without a prompt of their own: so many of their first tokens become one."""
    missing_eos_penalty: NotNegative | None = None
    """For generation: subtracted from the score of a response that has no end."""

    second_reward: Annotated[RewardSource | None, BeforeValidator(
        lambda value: {"run": value} if isinstance(value, str) else value
    )] = None  # fmt: skip
    """A judge that PPO never sees; its mean is logged beside the reward, where hacking shows."""
    allow_weak_reward: bool = False
    """Start even when the reward model is no better than chance."""
    max_kl: Positive | Literal["auto"] = "auto"
    """Nats per response beyond which a batch counts as an explosion: training stops and goes
    back to its last good checkpoint. auto: 100 for generation, 10 for classification."""
    eval_steps: int | Literal["auto"] = Field(default="auto", examples=[20])
    """Batches between looks at the validation split. auto: ten looks in all."""
    eval_examples: int = Field(default=128, ge=1)
    """So many validation prompts are answered at each look and, for generation, so many of the
    test split at the end; a classifier reads the whole of it."""
    seed: int = Field(default=0, ge=0)
    """Fixes samples and the order of prompts."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""

    @model_validator(mode="after")
    def _divides(self) -> PpoConfig:
        if self.batch_size % self.num_mini_batches:
            raise conflict(
                "rlhf.batch_not_divisible",
                "'ppo.batch_size' {batch_size} is not a multiple of 'ppo.num_mini_batches' "
                "{num_mini_batches}",
                "let one divide the other",
                batch_size=self.batch_size,
                num_mini_batches=self.num_mini_batches,
            )
        if self.total_episodes != "auto" and self.total_episodes < self.batch_size:
            raise conflict(
                "rlhf.too_few_episodes",
                "'ppo.total_episodes' is less than one 'ppo.batch_size'",
                "raise it, or lower the batch size",
            )
        if self.eval_steps != "auto" and self.eval_steps < 1:
            raise conflict(
                "rlhf.bad_eval_steps", "'ppo.eval_steps' must be positive", "choose 1 or more"
            )
        return self


class ResolvedPpo(PpoConfig):
    """`ppo:` as the loop reads it: a number in place of every `auto`."""

    total_episodes: int
    """Responses in all."""
    learning_rate: Positive
    """The peak learning rate of the policy."""
    max_kl: Positive
    """Nats per response beyond which a batch counts as an explosion."""
    eval_steps: int
    """Batches between looks at the validation split."""


class RlhfConfig(Part):
    """Supervised fine-tuning, then a reward model, then PPO."""

    pipeline: Literal["rlhf"] = "rlhf"
    """Makes a config one of a pipeline."""
    model: ModelConfig
    """The pretrained model to start from."""
    data: DataConfig
    """Examples for supervised fine-tuning; their inputs are the prompts of PPO."""
    task: Annotated[AnyTask, Field()] = Field(default=DEFAULT_TASK, examples=["generation"])
    """What the policy does: classification, or generation."""
    strategy: AnyStrategy | None = None
    """Which weights train, in every stage that does not say otherwise."""
    sft: SftStage = SftStage()
    """Supervised fine-tuning: what differs, a finished run's folder, or `skip`."""
    reward: Annotated[tuple[RewardSource, ...], BeforeValidator(ensure_list)]
    """The judge: what it is trained on, a finished run, a classifier, a function, or a list
    of these with weights."""
    ppo: PpoConfig = PpoConfig()
    """Proximal policy optimisation."""
    engine: Literal["torch", "hf"] = Field(default="torch", examples=["torch"])
    """PPO runs on torch. The other two stages take an engine of their own."""
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
                "PPO does not run on 'engine: hf': Trainer's loop takes its batches from a data "
                "set, while PPO samples them from the current policy",
                "remove engine; sft and reward take 'engine: hf' of their own",
            )
        if self.skips_sft and self.task.actions == "label":
            raise conflict(
                "rlhf.sft_skipped_for_classifier",
                "'sft: skip' leaves a classifier with an untrained head, which no reward mends",
                "remove it, or name a finished run",
            )
        if self.ppo.gradient == "exact" and self.task.actions == "text":
            raise conflict(
                "rlhf.exact_gradient_of_texts",
                "'ppo.gradient: exact' sums over all actions, and texts are too many",
                "use sampled",
            )
        if not self.reward:
            raise conflict(
                "rlhf.no_reward", "'reward' is empty", "give data, run, model or function"
            )
        return self
