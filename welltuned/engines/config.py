"""`training:` — hyper-parameters, under Hugging Face's names."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from welltuned.engines.optimizers.facts import optimizer_facts
from welltuned.schema.field_types import GoesWith, ImportPath
from welltuned.schema.import_path import RunsCode
from welltuned.schema.part import Part, conflict
from welltuned.schema.search_space import Around, Range

Auto = Literal["auto"]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
TrackerName = Literal["tensorboard", "wandb", "mlflow", "trackio", "swanlab"]
"""A tool in which people watch their runs."""
OptimizerName = Literal[
    "adamw", "adafactor", "sgd", "lion", "muon", "adamw_8bit", "schedule_free_adamw"
]
"""An optimizer that takes steps, as `optimizers/facts.py` knows it."""
STEADY = ("constant", "constant_with_warmup")
"""Schedules whose learning rate stays at its peak."""
DEFAULT_GLOBAL_BATCH = 16
NotNegative = Annotated[float, Field(ge=0)]


def _as_names(given: object) -> object:
    """Several names, each once; a single one stands for itself."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, (list, tuple)):
        return given
    return [name for i, name in enumerate(given) if name not in given[:i]]


TrackerNames = Annotated[tuple[TrackerName, ...], BeforeValidator(_as_names)]


def _is_schedule_free(optim: object) -> bool:
    facts = optimizer_facts(optim) if isinstance(optim, str) else None
    return facts is not None and not facts.needs_schedule


class TrainingConfig(Part):
    """Hyper-parameters.

    `auto` resolves to the project's default for the strategy and the model size, and reports it.
    """

    num_train_epochs: Annotated[Positive | Auto, Around(2)] = Field(default="auto", examples=[5])
    """Epochs: passes over the training data; fractions allowed."""
    max_steps: int | None = Field(default=None, ge=1)
    """Train for this many optimizer steps, instead of `num_train_epochs`."""
    learning_rate: Annotated[Positive | Literal["auto", "find"], Around(10)] = Field(
        default="auto", examples=[2e-5]
    )
    """The peak learning rate. find: by a learning-rate range test on the loaded model."""
    optim: Literal["auto", "lbfgs"] | OptimizerName | ImportPath = Field(
        default="auto", examples=["adamw"]
    )
    """The optimizer, or a class of your own by import path: `mine.optim.Lion`. With options:
    `{type: sgd, momentum: 0.8}`. lbfgs: full-batch L-BFGS finds the optimum of a linear head that
    alone trains, with L2 chosen on validation; epochs, learning rate and batch sizes do not apply.
    auto: lbfgs for such heads, unless a key of AdamW's steps is set, such as `learning_rate`; else
    adamw."""
    optim_args: dict[str, Any] = Field(default_factory=dict, examples=[{"amsgrad": True}])
    """Further options of the optimizer, by its class's own names."""
    per_device_train_batch_size: Annotated[int, Field(ge=1)] | Auto = 16
    """Micro-batch size: examples per forward pass. auto: the fastest that fits into memory,
    measured on the loaded model; accumulation keeps steps at `global_batch_size` examples."""
    global_batch_size: Annotated[int | None, GoesWith("per_device_train_batch_size", "auto")] = (
        Field(default=None, ge=1, examples=[32])
    )
    """With `per_device_train_batch_size: auto`: examples per optimizer step, 16 by default."""
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    """Micro-batches per optimizer step. The loss is averaged once, over the whole step."""
    per_device_eval_batch_size: int = Field(default=64, ge=1)
    """Examples per forward pass in evaluation."""
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"] = "linear"
    """The learning-rate schedule after warm-up. A schedule-free optimizer has
    `constant_with_warmup`."""
    warmup_ratio: Annotated[Share | Auto, Range(0.0, 0.2)] = "auto"
    """Warm-up: the share of steps over which the learning rate rises from zero."""
    weight_decay: Annotated[NotNegative | Auto, Range(0.0, 0.1)] = "auto"
    """The optimizer's weight decay, on matrices only; biases and norms never decay."""
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, examples=[0.95])
    """AdamW's beta1, and its kin's: the decay rate of the mean of gradients."""
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, examples=[0.99])
    """AdamW's beta2, and its kin's: the decay rate of the mean of squared gradients."""
    adam_epsilon: float = Field(default=1e-8, gt=0)
    """AdamW's epsilon, and its kin's, added to the denominator against division by zero."""
    max_grad_norm: float = Field(default=1.0, ge=0)
    """Gradient clipping: gradients are scaled down to this norm; 0 switches it off."""
    label_smoothing_factor: Annotated[float, Range(0.0, 0.2)] = Field(default=0.0, ge=0, lt=1)
    """Label smoothing: how much of the target is spread over all classes."""
    group_by_length: bool = True
    """Length bucketing: batch texts of similar length; less padding, same randomness."""
    max_tokens_per_step: int | None = Field(default=None, ge=1)
    """Token budget: fill steps up to this many tokens, padding included, not a number of
    examples."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of the forward and backward passes. auto: bf16 where a probe finds it clearly
    faster."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """The device to train on."""
    cache_frozen_blocks: bool | Auto = "auto"
    """Frozen-boundary cache: keep the hidden states above frozen blocks, so that these run once
    for each example. auto: on a CPU, where nothing changes by a bit."""
    sharding: Literal["fsdp2"] | None = Field(default=None, examples=["fsdp2"])
    """Share the weights, gradients and moments of one model among the processes that `torchrun`
    starts, on either engine. fsdp2: by torch's `fully_shard`, block by block. Without it every
    process has the whole model."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""
    seed: int = Field(default=0, ge=0)
    """Random seed of new weights, dropout and the order of examples."""
    full_determinism: bool = False
    """Refuse non-deterministic GPU operations. CPU runs are reproducible bit for bit anyway."""
    eval_strategy: Literal["epoch", "steps", "no"] = Field(default="epoch", examples=["no"])
    """When to evaluate on the validation split."""
    eval_steps: Annotated[int | None, GoesWith("eval_strategy", "steps")] = Field(
        default=None, ge=1, examples=[100]
    )
    """For `eval_strategy: steps`: optimizer steps between evaluations."""
    load_best_model_at_end: bool = True
    """Restore the best checkpoint, by validation score, instead of keeping the last weights."""
    metric_for_best_model: str = Field(default="auto", examples=["accuracy"])
    """The validation metric that selects the best checkpoint. auto: the task's own, such as
    macro_f1, r2 for regression or entity_f1."""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Stop after this many evaluations without improvement."""
    logging_steps: int = Field(default=10, ge=1)
    """Optimizer steps between lines of metrics.jsonl, and of what trackers are told."""
    report_to: TrackerNames = Field(default=(), examples=[["tensorboard"]])
    """Trackers that are told of the run, on either engine: its config, what metrics.jsonl holds,
    and its scores at the end. Each keeps its own settings, such as where it sends what it is told;
    one that fails is dropped, and the run goes on."""
    max_skipped_steps: int = Field(default=0, ge=0, examples=[5])
    """Go on without a step whose loss or gradient is not finite, up to so many in a run; at the
    next one the run stops. No such step is ever taken, and its examples are saved for study in the
    run's folder, in `not_finite`."""
    save_minutes: Positive | Auto = Field(default="auto", examples=[30])
    """Minutes between saves of everything that `welltuned resume` needs. auto: as often as takes
    under 3% of the time, and once a minute at most."""
    save_steps: int | None = Field(default=None, ge=1, examples=[500])
    """Optimizer steps between these saves, instead of minutes."""

    trainer: dict[str, Any] = Field(default_factory=dict, examples=[{"log_level": "warning"}])
    """For `engine: hf`: further `TrainingArguments`, such as `{log_level: warning}`."""
    callbacks: tuple[Annotated[str, RunsCode()], ...] = Field(
        default=(), examples=[["mine.callbacks.Beep"]]
    )
    """For `engine: hf`: `TrainerCallback` classes by import path, such as `mine.callbacks.Beep`."""

    @model_validator(mode="before")
    @classmethod
    def _optimizer_spelled_out(cls, values: Any) -> Any:
        """`optim: {type: …, option: …}` as a name and its options, and the schedule that follows
        from it."""
        if not isinstance(values, dict):
            return values
        values, optim = dict(values), values.get("optim")
        if isinstance(optim, dict):
            if "type" not in optim or values.get("optim_args"):
                raise conflict(
                    "training.optimizer_spelled_twice",
                    "'training.optim' is a mapping without a type, or has 'training.optim_args' "
                    "beside it",
                    "write training.optim={{type: sgd, momentum: 0.8}}",
                )
            options = {key: value for key, value in optim.items() if key != "type"}
            values |= {"optim": optim["type"], "optim_args": options}
        if _is_schedule_free(values.get("optim")):
            values.setdefault("lr_scheduler_type", "constant_with_warmup")
        return values

    @model_validator(mode="after")
    def _optimizer_consistent(self) -> TrainingConfig:
        if self.optim_args and self.optim in ("auto", "lbfgs"):
            raise conflict(
                "training.optimizer_options_without_name",
                "'training.optim_args' are options of an optimizer, and 'training.optim' is "
                "{optim}",
                "name the optimizer in training.optim, such as adamw",
                optim=self.optim,
            )
        if _is_schedule_free(self.optim) and self.lr_scheduler_type not in STEADY:
            raise conflict(
                "training.schedule_with_schedule_free",
                "'training.optim: {optim}' averages the weights in place of a schedule, and "
                "'training.lr_scheduler_type' is {schedule}",
                "remove lr_scheduler_type, or set it to constant_with_warmup",
                optim=self.optim,
                schedule=self.lr_scheduler_type,
            )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> TrainingConfig:
        if (self.eval_strategy == "steps") != (self.eval_steps is not None):
            raise conflict(
                "training.eval_steps_without_strategy",
                "'training.eval_steps' and 'eval_strategy: steps' require each other",
                "give both or neither",
            )
        if self.eval_strategy == "no" and self.early_stopping_patience is not None:
            raise conflict(
                "training.early_stopping_without_evaluation",
                "'training.early_stopping_patience' requires evaluations",
                "set eval_strategy to epoch or steps",
            )
        if self.per_device_train_batch_size != "auto" and self.global_batch_size is not None:
            raise conflict(
                "training.global_batch_size_without_auto",
                "'training.global_batch_size' requires 'per_device_train_batch_size: auto'",
                "set gradient_accumulation_steps instead",
            )
        if self.per_device_train_batch_size == "auto" and self.gradient_accumulation_steps > 1:
            raise conflict(
                "training.accumulation_with_auto",
                "'per_device_train_batch_size: auto' also sets "
                "'training.gradient_accumulation_steps'",
                "give global_batch_size instead",
            )
        if self.per_device_train_batch_size == "auto" and self.max_tokens_per_step is not None:
            raise conflict(
                "training.token_budget_with_auto",
                "'training.max_tokens_per_step' fills steps by tokens, which leaves "
                "'per_device_train_batch_size: auto' nothing to find",
                "keep one of them",
            )
        if self.optim == "lbfgs" and self.learning_rate == "find":
            raise conflict(
                "training.lbfgs_without_rate",
                "'training.optim: lbfgs' has no learning rate to find",
                "remove 'learning_rate: find', or set optim to adamw",
            )
        if self.max_steps is not None and self.num_train_epochs not in ("auto", None):
            raise conflict(
                "training.max_steps_and_epochs",
                "'training.max_steps' and 'training.num_train_epochs' contradict each other",
                "keep one of them",
            )
        return self

    @property
    def examples_per_step(self) -> int:
        """What one process takes into an optimizer step: the global batch, however it is split."""
        if self.per_device_train_batch_size == "auto":
            return self.global_batch_size or DEFAULT_GLOBAL_BATCH
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def split_into(self, size: int) -> Self:
        """The same steps, taken `size` examples at a time."""
        return self.model_copy(
            update={
                "per_device_train_batch_size": size,
                "gradient_accumulation_steps": -(-self.examples_per_step // size),
                "global_batch_size": None,
            }
        )

    def resolved(self) -> ResolvedTraining:
        """The hyper-parameters for an engine, every other `auto` replaced by its default.

        Until `auto` and `find` are measured, a whole step is one forward pass, and the learning
        rate 1. Raises `ValueError` where a default is missing.
        """
        auto = self.per_device_train_batch_size == "auto"
        whole = self.split_into(self.examples_per_step) if auto else self
        values = {name: getattr(whole, name) for name in TrainingConfig.model_fields}
        if values["learning_rate"] == "find":
            values["learning_rate"] = 1.0
        if self.max_steps is not None:
            values["num_train_epochs"] = None
        return ResolvedTraining.model_validate(values)


class ResolvedTraining(TrainingConfig):
    """Hyper-parameters as an engine reads them: a number in place of every `auto` and `find`.

    Device and precision are not part of it: `Job` holds them.
    """

    num_train_epochs: Positive | None = None  # type: ignore[assignment]
    """Passes over the training data; None where `max_steps` counts."""
    learning_rate: Positive
    """The peak learning rate."""
    per_device_train_batch_size: Annotated[int, Field(ge=1)] = 16
    """Examples per forward pass."""
    warmup_ratio: Share = 0.0
    """Warm-up: the share of steps over which the learning rate rises from zero."""
    weight_decay: NotNegative = 0.0
    """The optimizer's weight decay, on matrices only; biases and norms never decay."""
    metric_for_best_model: str
    """The validation metric that selects the best checkpoint."""
