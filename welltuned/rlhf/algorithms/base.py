"""What an RL algorithm is: what it needs, what a scored batch teaches, and the loss.

An algorithm is its own config. The loop samples a batch, has it scored, and asks the algorithm
for the `experience` in it and, minibatch by minibatch, for the `loss`. Everything else (sampling,
optimizer, schedule, the KL coefficient, early stopping) is the same for all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from welltuned.data.config import DataConfig
from welltuned.engines.config import NotNegative, OptimizerName, Positive
from welltuned.engines.optimizers.facts import optimizer_facts
from welltuned.rlhf.rewards import OneReward
from welltuned.rlhf.stage_config import Nested
from welltuned.schema.field_types import ImportPath
from welltuned.schema.part import conflict
from welltuned.strategies import AnyStrategy

if TYPE_CHECKING:
    import torch

    from welltuned.rlhf.actors.base import Rollout, TokenEstimates


class Algorithm(Nested):
    """Options that every algorithm has. Keys have TRL's names where it has them."""

    shorthand: ClassVar[str | None] = "type"
    title: ClassVar[str]
    """What people call it."""
    needs_values: ClassVar[bool] = False
    """Whether it learns a value head beside the policy."""
    scores_every_action: ClassVar[bool] = False
    """Whether all labels of each prompt are scored, and not the sampled one alone."""

    type: str
    strategy: AnyStrategy | None = None
    """Which weights of the policy train. Default: the pipeline's, else that of the SFT run."""
    data: DataConfig | None = None
    """Where the prompts are. Default: the pipeline's data."""

    total_episodes: int | Literal["auto"] = Field(default="auto", examples=[10_000])
    """Responses in all. auto: three passes over the training prompts."""
    batch_size: int = Field(default=64, ge=2)
    """Responses per batch: sampled by one policy, scored, and then learned from."""
    num_mini_batches: int = Field(default=1, ge=1)
    """Optimizer steps per pass over a batch."""
    per_device_train_batch_size: int = Field(default=16, ge=1)
    """Responses per forward pass when learning; it changes no step."""
    rollout_batch_size: int = Field(default=64, ge=1)
    """Responses per forward pass when sampling and scoring."""

    learning_rate: Positive | Literal["auto"] = "auto"
    """The peak learning rate of the policy."""
    lr_scheduler_type: Literal["linear", "constant"] = "linear"
    """linear: down to zero over all batches."""
    optim: OptimizerName | ImportPath = Field(default="adamw", examples=["muon"])
    """The optimizer, as `training.optim` names it, or a class of your own by import path. None that
    averages weights in place of a schedule: responses are sampled by those that train."""
    optim_args: dict[str, Any] = Field(default_factory=dict, examples=[{"amsgrad": True}])
    """Further options of the optimizer, by its class's own names."""
    weight_decay: NotNegative = 0.0
    """The optimizer's decay of matrices; biases and norms never decay."""
    adam_epsilon: float = Field(default=1e-5, gt=0)
    """As in OpenAI's and TRL's reference runs; AdamW's usual 1e-8 makes larger first steps. Other
    optimizers with such a number heed it too."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradients are scaled down to this norm; 0 leaves them alone."""

    kl_coef: NotNegative = 0.05
    """β: the reward is lowered by β · KL(π ‖ π_ref)."""
    kl_target: Positive | None = None
    """Nats per response that β is steered to; none keeps β fixed."""
    kl_horizon: int = Field(default=10_000, ge=1)
    """How slowly: responses over which β moves by a fifth at most."""
    entropy_coef: NotNegative = 0.0
    """The weight of the policy's entropy, which is then rewarded."""
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
    """For generation: subtracted from the score of a response that has no end, as in TRL
    (OpenAI's code put −1 in its place)."""

    second_reward: OneReward | None = Field(default=None, examples=["runs/other-reward"])
    """A reward that training never sees; its mean is logged beside the reward, where hacking
    shows."""
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

    @property
    def samples_per_prompt(self) -> int:
        """Responses to each prompt; those to one prompt are neighbours in a batch."""
        return 1

    @property
    def passes(self) -> int:
        """Passes over each batch."""
        return 1

    @property
    def value_rate(self) -> float:
        """The learning rate of the value head, where there is one."""
        raise NotImplementedError(f"{self.type} has no value head")

    @abstractmethod
    def experience(self, rollout: Rollout, scores: torch.Tensor, kl_coef: float) -> Any:
        """What the scores (B) of a rollout teach, such as advantages; a pure function.

        With `scores_every_action` the scores are (B, K).
        """

    @abstractmethod
    def loss(
        self, experience: Any, estimates: TokenEstimates, rows: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """`loss`, `policy_loss`, `approx_kl`, `ratio` and what else is worth knowing.

        All are sums over these rows (R) of the batch. They are divided once: `loss` and whatever
        ends in `_loss` by the `divisor` of the minibatch, all others by its tokens. `estimates`
        are what the policy as it is now thinks of the rows.
        """

    def divisor(self, rollout: Rollout, rows: torch.Tensor) -> float:
        """What the losses of a minibatch (`rows` of the batch) are divided by: its tokens.

        It is known before the first forward pass, so that a minibatch may be cut into any number
        of them.
        """
        return float(rollout.mask_BT[rows].sum())

    def facts(self, experience: Any) -> dict[str, float]:
        """What else is worth knowing of a batch before it is learned from."""
        return {}

    @model_validator(mode="after")
    def _divides(self) -> Algorithm:
        if self.batch_size % self.num_mini_batches:
            raise conflict(
                "rlhf.batch_not_divisible",
                "'rl.batch_size' {batch_size} is not a multiple of 'rl.num_mini_batches' "
                "{num_mini_batches}",
                "make the first a multiple of the second",
                batch_size=self.batch_size,
                num_mini_batches=self.num_mini_batches,
            )
        if self.batch_size % self.samples_per_prompt:
            raise conflict(
                "rlhf.batch_not_of_groups",
                "'rl.batch_size' {batch_size} is not a multiple of the {samples_per_prompt} "
                "responses to each prompt",
                "make the first a multiple of the second",
                batch_size=self.batch_size,
                samples_per_prompt=self.samples_per_prompt,
            )
        if self.total_episodes != "auto" and self.total_episodes < self.batch_size:
            raise conflict(
                "rlhf.too_few_episodes",
                "'rl.total_episodes' is less than one 'rl.batch_size'",
                "raise it, or lower the batch size",
            )
        facts = optimizer_facts(self.optim)
        if facts is not None and not facts.needs_schedule:
            raise conflict(
                "rlhf.optimizer_averages",
                "'rl.optim: {optim}' averages the weights that it trains, and responses are "
                "sampled by those",
                "choose another, such as adamw",
                optim=self.optim,
            )
        if self.eval_steps != "auto" and self.eval_steps < 1:
            raise conflict(
                "rlhf.bad_eval_steps", "'rl.eval_steps' must be positive", "choose 1 or more"
            )
        return self
