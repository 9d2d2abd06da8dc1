"""The learning-rate range test (Smith 2017, arXiv 1506.01186).

From the same start as training, the learning rate rises step by step from far too low
to far too high, each step ten times as large a decade on. The smoothed loss stays, falls,
and rises again. Everything a step is made of is the loop's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

import torch

from welltuned.engines import distributed
from welltuned.engines.accumulate import accumulate
from welltuned.engines.job import Job
from welltuned.engines.optimizer import build_optimizer, clip_gradients
from welltuned.engines.sandbox import untouched
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter
from welltuned.errors import Fault, RunFailed
from welltuned.models.freezing import set_training_modes
from welltuned.runs.results_schema import LearningRateSearch
from welltuned.schema.messages import Message, message
from welltuned.strategies.base import END

STEPS = 90
_KEEP = 0.9
"""The decay of the exponential moving average that smooths the loss."""
_BLOWN_UP = 1.5
"""The multiple of the least smoothed loss at which the test stops."""
_FLAT = 0.02
"""The share of its start that the loss has to fall for a rate to have learned anything."""
_BELOW_THE_LEAST = 10.0
"""The suggestion lies an order of magnitude below the rate at which the loss was least: by
then the steps are already too long, and only the past keeps the loss low."""


@dataclass(frozen=True)
class RangeTest:
    """The curve of one test, and what it suggests."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    """The mean loss of each step, before it was taken."""
    smoothed: tuple[float, ...]
    suggestion: float
    reason: Message

    def as_dict(self) -> LearningRateSearch:
        return cast(LearningRateSearch, asdict(self))


def run_range_test(
    job: Job,
    low: float,
    high: float,
    steps: int = STEPS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RangeTest:
    """Raise the rate from `low` to `high` and judge; the model is left as it was.

    Raises `RunFailed` when no rate lowers the loss.
    """
    curve: list[tuple[float, float]] = []
    with untouched(job):
        for rate, loss in _sweep(job, low, high, steps):
            curve.append((rate, loss))
            progress(len(curve), steps)
            if _has_blown_up([loss for _, loss in curve]):
                break
    progress(steps, steps)
    return suggest_rate(curve)


def _sweep(job: Job, low: float, high: float, steps: int) -> Iterator[tuple[float, float]]:
    """(rate, loss before the step with it); ends early where a loss or gradient is no number."""
    training = job.training.model_copy(
        update={"learning_rate": 1.0, "max_steps": steps, "num_train_epochs": None}
    )
    trial = replace(job, training=training)
    plan = StepPlan.of(trial.batches, training)
    optimizer = build_optimizer(trial.groups, training)
    scales = [settings["lr"] for settings in optimizer.param_groups]  # multiples of a rate of 1
    meter = Meter(plan.total)
    torch.manual_seed(training.seed + distributed.rank())
    job.strategy.advance(job.model, job.anatomy, END)
    set_training_modes(job.model)
    for i, step in enumerate(plan):
        rate = low * (high / low) ** (i / max(1, steps - 1))
        loss = accumulate(trial, step, meter, torch.Tensor.backward).total
        if not math.isfinite(loss):
            return
        yield rate, loss
        if not math.isfinite(clip_gradients(trial.groups, training.max_grad_norm)):
            return
        for scale, settings in zip(scales, optimizer.param_groups, strict=True):
            settings["lr"] = rate * scale
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def _has_blown_up(losses: Sequence[float]) -> bool:
    smooth = smooth_losses(losses)
    return len(smooth) > 10 and smooth[-1] > _BLOWN_UP * min(smooth)


def suggest_rate(curve: Sequence[tuple[float, float]]) -> RangeTest:
    """The suggestion for (rate, loss) pairs of growing rates.

    Raises `RunFailed` when the loss never fell.
    """
    rates, losses = zip(*curve, strict=True) if curve else ((), ())
    smooth = smooth_losses(losses)
    least = min(range(len(smooth)), key=lambda i: smooth[i], default=0)
    start = max(smooth[: least + 1], default=0.0)
    if not smooth or start - smooth[least] < _FLAT * start:
        raise RunFailed(
            Fault(
                "training.no_learning_rate_found",
                "the range test found no learning rate that lowers the training loss",
                None,
                "give training.learning_rate a number, and look at the data and labels",
            )
        )
    suggestion = rates[least] / _BELOW_THE_LEAST
    seen = {
        "start": f"{start:.3g}",
        "least": f"{smooth[least]:.3g}",
        "rate": f"{rates[least]:.1e}",
    }
    reason = (
        message(
            "lr_range.minimum_inside",
            "the smoothed loss fell from {start} to {least} at {rate} "
            "and rose again to {last}; a tenth of that rate is fast and safe",
            **seen,
            last=f"{smooth[-1]:.3g}",
        )
        if smooth[-1] > smooth[least]
        else message(
            "lr_range.minimum_at_the_end",
            "the smoothed loss fell from {start} to {least} at "
            "{rate}, the highest rate tried; a tenth of that rate is safe",
            **seen,
        )
    )
    return RangeTest(rates, losses, tuple(smooth), _round(suggestion), reason)


def smooth_losses(losses: Sequence[float]) -> list[float]:
    """An exponential moving average without the bias of its start."""
    smooth, total, weight = [], 0.0, 0.0
    for loss in losses:
        total, weight = _KEEP * total + loss, _KEEP * weight + 1
        smooth.append(total / weight)
    return smooth


def _round(rate: float) -> float:
    """To two significant digits: the test is no more precise."""
    return float(f"{rate:.1e}")
