"""The Hugging Face engine: a thin `transformers.Trainer` that computes what the plain loop does.

`Trainer` keeps what people come to it for: callbacks and launchers. What it would do implicitly is
ours:

* one item of its data loader is one optimizer step, so accumulation, the global
  count of the loss and the order of examples are the plan's;
* frozen modules stay in eval mode (`training_step` would call `model.train()`);
* a step whose loss is not finite is not taken (it would be, and its loss left out of the log);
* optimizer groups, schedule, clipping, evaluation and checkpoints are the shared ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from welltuned.engines.config import TrackerName, TrainingConfig
from welltuned.engines.feed import fed
from welltuned.engines.gradients import Gradients
from welltuned.engines.job import Job, Outcome
from welltuned.engines.loop_state import LoopState
from welltuned.engines.step_plan import PlannedStep, StepPlan
from welltuned.errors import Faults, InputError
from welltuned.models.compat.trainer_api import NormTrainer
from welltuned.runs.stopping import at_boundaries
from welltuned.schema.import_path import load_callable


def fit_with_trainer(job: Job) -> Outcome:
    """Train `job.model` in place. Raises `NotFinite` when a loss or gradient is not finite."""
    trainer = JobTrainer(job)
    state = trainer.loop
    with at_boundaries():
        if state.taken < state.plan.total:
            trainer.train_after(state.taken)
        else:
            state.begin()
    return state.finish()


class JobTrainer(NormTrainer):
    """A `Trainer` that runs the training loop of a `Job`."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = LoopState(job)
        self.gradients = Gradients(0.0, 0.0)
        callbacks = [load_callable(path, "callback")() for path in job.training.callbacks]
        arguments = _arguments(job, self.loop.plan)
        super().__init__(model=job.model, args=arguments, callbacks=callbacks)
        self.add_callback(_Bridge(self))
        self.remove_callback(PrinterCallback)

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        prepare = self.accelerator.prepare_model
        # Gradients are summed by `accumulate`; a DDP wrapper would sum them once more.
        self.accelerator.prepare_model = lambda model, **options: prepare(
            model, **{**options, "evaluation_mode": True}
        )

    def get_train_dataloader(self) -> Any:
        return _Steps(self.loop, self.job)

    def create_optimizer(self, model: object = None) -> torch.optim.Optimizer:
        self.optimizer = self.loop.optimizer
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: object = None) -> LambdaLR:
        return self.keep_schedule(self.loop.schedule)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], *args: object
    ) -> torch.Tensor:
        """One whole optimizer step but for the step itself: its inputs are a planned step."""
        step: PlannedStep = inputs["step"]
        self.gradients = self.loop.gradients.take(step, self.accelerator.backward)
        self.norm = self.gradients.norm
        return torch.tensor(self.gradients.loss, device=self.args.device)

    def floating_point_ops(self, inputs: object) -> int:
        return 0  # the meter counts them


class _Steps:
    """What Trainer takes for a data loader: an epoch's optimizer steps, one item each."""

    def __init__(self, state: LoopState, job: Job) -> None:
        self.dataset = job.examples
        self._job = job
        self._state = state
        self._epoch = 0

    def __len__(self) -> int:
        return max(self._state.plan.steps_per_epoch)

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[dict[str, PlannedStep]]:
        for step in fed(self._job, self._state.left_of(self._epoch)):
            yield {"step": step}


class _Bridge(TrainerCallback):
    """Forwards events to our listener, and evaluates on the validation split when due."""

    def __init__(self, trainer: JobTrainer) -> None:
        self._trainer = trainer
        self._steps = trainer.loop.left()

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self._trainer.loop.begin()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        trainer, step = self._trainer, next(self._steps)
        state.epoch = step.epoch_after  # Trainer counts from where it began
        scores = trainer.loop.after(step, trainer.gradients)
        if scores is not None:
            numbers = {k: v for k, v in scores.items() if isinstance(v, (int, float))}
            trainer.log({f"eval_{name}": float(value) for name, value in numbers.items()})
        if trainer.loop.outcome.stopped_early:
            control.should_training_stop = True


_OURS = {
    "output_dir", "max_steps", "num_train_epochs", "per_device_train_batch_size",
    "gradient_accumulation_steps", "max_grad_norm", "learning_rate", "lr_scheduler_type",
    "warmup_steps", "weight_decay", "optim", "seed", "bf16", "fp16", "use_cpu",
    "eval_strategy", "save_strategy", "load_best_model_at_end", "ignore_data_skip",
    "label_smoothing_factor",
    "gradient_checkpointing", "remove_unused_columns", "fsdp", "deepspeed",
    "logging_nan_inf_filter",
}  # fmt: skip
"""What the config says elsewhere, or what would make the engines differ."""


def check_trainer_arguments(training: TrainingConfig, faults: Faults) -> None:
    """Record what in `training.trainer` and `training.callbacks` cannot work."""
    known = {field.name for field in fields(TrainingArguments)}
    for key, value in training.trainer.items():
        if key == "push_to_hub" and value:
            faults.add(
                "training.push_to_hub_refused",
                "'training.trainer.push_to_hub' would send the model away while it trains",
                None,
                "remove it; when the run is finished: welltuned push RUN user/name license=NAME",
            )
        elif key == "report_to":
            _refuse_known_trackers(value, faults)
        elif key in _OURS:
            faults.add(
                "training.trainer_key_taken",
                "'training.trainer.{key}' is not passed on",
                None,
                "both engines take it from `training:` or handle it themselves; remove it",
                key=key,
            )
        elif key not in known:
            faults.add(
                "training.trainer_key_unknown",
                "TrainingArguments has no '{key}' (training.trainer)",
                None,
                "check the spelling",
                key=key,
            )
    for path in training.callbacks:
        try:
            load_callable(path, "callback")
        except InputError as error:
            faults.extend(error.faults)


def _refuse_known_trackers(given: object, faults: Faults) -> None:
    """Record those of a `Trainer` that runs tell by themselves, whichever engine they have."""
    asked = given if isinstance(given, (list, tuple)) else [given]
    known = [name for name in get_args(TrackerName) if name in asked or "all" in asked]
    if known:
        faults.add(
            "training.trackers_of_trainer",
            "'training.trainer.report_to' names {names}, which training.report_to is for",
            None,
            "write training.report_to=[{names}] instead; both engines take it",
            names=", ".join(known),
        )


def _arguments(job: Job, plan: StepPlan) -> TrainingArguments:
    training = job.training
    chosen: dict[str, Any] = {
        "report_to": [],
        "disable_tqdm": True,
        "logging_steps": training.logging_steps,
        **training.trainer,
    }
    return TrainingArguments(
        output_dir=str(job.folder / "trainer"),
        max_steps=plan.total,
        per_device_train_batch_size=training.per_device_train_batch_size,
        # `training_step` accumulates and clips by itself.
        gradient_accumulation_steps=1,
        max_grad_norm=0.0,
        learning_rate=training.learning_rate,
        seed=training.seed,
        use_cpu=job.device.type == "cpu",
        eval_strategy="no",
        save_strategy="no",
        ignore_data_skip=True,
        remove_unused_columns=False,
        logging_nan_inf_filter=True,  # such a step is not taken
        **chosen,
    )
