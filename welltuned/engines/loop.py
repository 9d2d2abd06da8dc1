"""The plain PyTorch loop.

    for each epoch:
        for each step, a list of micro-batches:
            the strategy may change what trains        (strategy.advance)
            for each micro-batch:
                loss = sum of losses / count of the whole step
                backward
            clip, optimizer step, learning rate
            now and then: score the validation split, keep the best weights

Nothing else happens. What looks unusual is so for a reason: the loss is
divided once, by the count of the whole optimizer step, so accumulation changes
nothing; frozen modules stay in eval mode; gradients are dropped and not zeroed,
so that AdamW leaves frozen weights alone; and the order of examples is a pure
function of (seed, epoch).
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from welltuned.engines.events import Step
from welltuned.engines.job import Job, Outcome
from welltuned.engines.optimisation import build_optimizer, build_schedule, clip_gradients
from welltuned.engines.precision import autocast
from welltuned.engines.validation import Validator
from welltuned.errors import RunFailed
from welltuned.evaluation.predicting import to_device
from welltuned.models.freezing import set_training_modes
from welltuned.strategies import Progress


def train(job: Job) -> Outcome:
    """Train `job.model` in place. Raises `RunFailed` when a loss or gradient is not finite."""
    training, model, strategy = job.training, job.model, job.strategy
    epochs, steps_per_epoch, total = plan_steps(job)
    optimizer = build_optimizer(job.groups, training)
    schedule = build_schedule(optimizer, total, training)
    metric = job.problem.default_metric if training.metric_for_best_model == "auto" else training.metric_for_best_model
    validator = Validator(training, metric, job.validate, job.keep)
    outcome = Outcome()
    meter = _FlopMeter()
    torch.manual_seed(training.seed)
    job.listener.started(total)
    set_training_modes(model)
    for epoch in range(epochs):
        for number, micro_batches in enumerate(job.batches.steps(epoch)):
            started = time.perf_counter()
            position = epoch + number / steps_per_epoch[epoch]
            change = strategy.advance(model, job.anatomy, Progress(outcome.steps / total, position))
            if change is not None:
                set_training_modes(model)
                meter.reset()
                job.listener.changed(outcome.steps + 1, change)

            batches = [job.problem.collate(job.examples, indices.tolist(), job.pad_id) for indices in micro_batches]
            tensors = [to_device(batch, job.device) for batch in batches]
            count = sum(job.problem.count(batch) for batch in tensors)
            loss = 0.0
            for batch, indices in zip(tensors, micro_batches, strict=True):
                with meter.measuring(batch["input_ids"].numel()):
                    with autocast(job.precision, job.device):
                        outputs = job.problem.outputs(model, batch)
                        part = job.problem.loss_sum(outputs, batch) / count
                    _require_finite(part, "loss", job, indices)
                    part.backward()
                loss += float(part.detach())

            if outcome.steps == 0:
                _require_gradients(job)
            norm = clip_gradients(job.groups, training.max_grad_norm)
            if not math.isfinite(norm):
                _fail("gradient", job, np.concatenate(micro_batches))
            learning_rate = schedule.get_last_lr()[0]
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)

            outcome.steps += 1
            outcome.epochs = epoch + (number + 1) / steps_per_epoch[epoch]
            step = _account(outcome, meter, tensors, Step(outcome.steps, total, outcome.epochs, loss, learning_rate, norm, 0, 0, time.perf_counter() - started))
            job.listener.stepped(step)

            if validator.is_due(outcome.steps, total, number + 1 == steps_per_epoch[epoch]):
                scores, best = validator.look(outcome.steps)
                job.listener.evaluated(outcome.steps, outcome.epochs, scores, best)
                outcome.best_step = validator.best_step
                if validator.should_stop:
                    outcome.stopped_early = True
                    return outcome
            if outcome.steps == total:
                return outcome
    return outcome


def plan_steps(job: Job) -> tuple[int, list[int], int]:
    """(epochs begun, steps in each, optimizer steps in all)."""
    training = job.training
    if training.max_steps is not None:
        steps_per_epoch: list[int] = []
        while sum(steps_per_epoch) < training.max_steps:
            steps_per_epoch = job.batches.count(len(steps_per_epoch) + 1)
        return len(steps_per_epoch), steps_per_epoch, training.max_steps
    assert not isinstance(training.num_train_epochs, str)
    epochs = math.ceil(training.num_train_epochs)
    steps_per_epoch = job.batches.count(epochs)
    unused = (epochs - training.num_train_epochs) * steps_per_epoch[-1]
    return epochs, steps_per_epoch, max(1, sum(steps_per_epoch) - math.floor(unused))


class _FlopMeter:
    """Counts the floating-point operations of one micro-batch after each change of what trains, and extrapolates by tokens."""

    def __init__(self) -> None:
        self.per_position = 0.0
        self._counter: FlopCounterMode | None = None
        self._positions = 0

    def reset(self) -> None:
        self.per_position = 0.0

    def measuring(self, positions: int) -> _FlopMeter:
        self._positions = positions
        return self

    def __enter__(self) -> None:
        if not self.per_position:
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._counter is not None:
            self._counter.__exit__(*error)
            self.per_position = self._counter.get_total_flops() / self._positions
            self._counter = None


def _account(outcome: Outcome, meter: _FlopMeter, tensors: list[dict[str, torch.Tensor]], step: Step) -> Step:
    examples = sum(len(batch["input_ids"]) for batch in tensors)
    tokens = sum(int(batch["attention_mask"].sum()) for batch in tensors)
    positions = sum(batch["input_ids"].numel() for batch in tensors)
    outcome.seconds += step.seconds
    outcome.examples += examples
    outcome.tokens += tokens
    outcome.positions += positions
    outcome.flops += meter.per_position * positions
    return Step(step.step, step.total, step.epoch, step.loss, step.learning_rate, step.gradient_norm, examples, tokens, step.seconds)


def _require_finite(value: torch.Tensor, what: str, job: Job, indices: np.ndarray) -> None:
    if not torch.isfinite(value):
        _fail(what, job, indices)


def _fail(what: str, job: Job, indices: np.ndarray) -> None:
    rows = ", ".join(job.examples.records.id(int(i)) for i in indices[:8])
    raise RunFailed(
        f"the {what} is not finite; no step was taken with it. The batch holds {rows}{', …' if len(indices) > 8 else ''}. "
        "Try a lower training.learning_rate, or training.precision=fp32, and look at these rows."
    )


def _require_gradients(job: Job) -> None:
    """A weight that shall train but has no gradient after the first backward pass is wired to nothing."""
    dead = [name for name, parameter in job.model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    if dead:
        raise RunFailed(f"{len(dead)} trainable weights get no gradient, '{dead[0]}' among them: the model's output does not depend on them")
