"""Rehearsal: before a long training, the largest of all that it will do is done once.

The longest micro-batch forward and backward with everything that will ever train, beside room for
the optimizer's moments; the evaluation batch of the longest texts; a save into the run's folder.
What cannot work fails now and not after hours. No step is taken, and nothing is left behind.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from welltuned.data.batching import evaluation_batches
from welltuned.engines import distributed
from welltuned.engines.batch_finder import forward_backward
from welltuned.engines.device import matmul_rate
from welltuned.engines.job import Job
from welltuned.engines.memory_backoff import smaller
from welltuned.engines.memory_faults import is_out_of_memory
from welltuned.engines.optimizers.facts import kept_bytes
from welltuned.engines.sandbox import RandomNumbers, untouched
from welltuned.models.freezing import set_training_modes
from welltuned.models.quantization import weight_count
from welltuned.models.sharding import is_sharded
from welltuned.runs import Run
from welltuned.runs.checkpoints import save_checkpoint
from welltuned.runs.results_schema import RehearsalRecord
from welltuned.schema.units import duration_text, size_text
from welltuned.strategies.base import END
from welltuned.training.auto_tune import with_choice
from welltuned.training.forecast.step_counts import StepCounts, positions
from welltuned.training.observer import Observer
from welltuned.training.preparation.defaults import Choice
from welltuned.training.results import peak_memory
from welltuned.training.session.session import Session

LONG = 60.0
"""Seconds of training, on a CPU at its fastest, from which a rehearsal pays."""
_FLOPS_PER_SECOND = 1e10
"""What a slow core does; below it nobody needs to measure the machine."""
_FOLDER = "rehearsal"


def rehearse(session: Session, run: Run, observer: Observer) -> Session:
    """The session, with smaller micro-batches where those that were asked for do not fit.

    Raises `RunFailed` where evaluation does not fit into memory, or a save onto the disk.
    """
    if is_sharded(session.model):
        observer.noted("no rehearsal: one process alone cannot take a step with sharded weights")
        return session
    found = distributed.from_main(lambda: _found(session, run) if is_long(session) else None)
    if found is None:
        return session
    observer.noted(told(found))
    size, asked = found["batch_size"], session.training.per_device_train_batch_size
    session = replace(session, found={**session.found, "rehearsal": found})
    if size == asked:
        return session
    reason = f"rehearsal: {asked} of the longest examples do not fit into memory"
    choice = Choice("per_device_train_batch_size", size, reason)
    return with_choice(session, observer, choice, session.config.training.split_into(size))


def is_long(session: Session) -> bool:
    """Whether a training is worth a rehearsal: on a GPU, or where it takes a minute or more."""
    if session.config.training.optim == "lbfgs":
        return False  # there are no steps
    if session.device.type != "cpu":
        return True
    counts = StepCounts.of(session.prepared, session.training)
    tokens = counts.read_tokens * counts.plan.total / counts.plan.steps_per_epoch[0]
    weights = sum(map(weight_count, session.model.parameters()))
    flops = 6 * weights * tokens  # forward and backward (Kaplan et al. 2020)
    if flops < LONG * _FLOPS_PER_SECOND:
        return False
    return flops / matmul_rate(session.device, torch.float32) >= LONG


def told(found: RehearsalRecord) -> str:
    """What was found, in a line."""
    step = f"{found['batch_size']} x {found['tokens']:,} tokens"
    return (
        f"rehearsal: the longest micro-batch ({step}) takes {duration_text(found['step_seconds'])},"
        f" an evaluation batch {duration_text(found['evaluation_seconds'])}, a save "
        f"{duration_text(found['save_seconds'])}; {size_text(found['peak_memory_bytes'])} of memory"
    )


def _found(session: Session, run: Run) -> RehearsalRecord:
    job = session.job()
    counts = StepCounts.of(session.prepared, session.training)
    batch = max(counts.batches, key=partial(positions, job.examples))
    with untouched(job, steps=False):
        moments = _moments(job)
        size = _size_that_fits(job, batch)
        step = _seconds(job, lambda: forward_backward(job, batch[:size]))
        evaluation = _seconds(job, lambda: _evaluate(session))
        save = _seconds(job, lambda: _save(job, run, moments))
    return {
        "batch_size": size,
        "tokens": positions(job.examples, batch[:1]) // job.examples.units,
        "step_seconds": step,
        "evaluation_seconds": evaluation,
        "save_seconds": save,
        "peak_memory_bytes": peak_memory(job.device),
    }


def _moments(job: Job) -> dict[str, torch.Tensor]:
    """As many bytes as the optimizer will keep of each weight."""
    sizes = [
        (weight, kept_bytes(job.training.optim, weight.shape, group.in_blocks))
        for group in job.groups
        for weight in group.parameters
    ]
    return {
        f"kept/{i}": torch.zeros(round(size), dtype=torch.uint8, device=weight.device)
        for i, (weight, size) in enumerate(sizes)
    }


def _size_that_fits(job: Job, batch: np.ndarray) -> int:
    """So many of the longest examples go into a pass that trains all that will ever train."""
    job.strategy.advance(job.model, job.anatomy, END)
    set_training_modes(job.model)
    size = job.training.per_device_train_batch_size
    while True:
        try:
            forward_backward(job, batch[:size])
            return size
        except Exception as error:
            if not is_out_of_memory(error) or min(size, len(batch)) == 1:
                raise
        job.model.zero_grad(set_to_none=True)
        size = smaller(job.training.examples_per_step, size)


def _trains(job: Job) -> dict[str, torch.Tensor]:
    ever = {id(weight) for group in job.groups for weight in group.parameters}
    return {name: weight for name, weight in job.model.named_parameters() if id(weight) in ever}


def _evaluate(session: Session) -> None:
    examples = session.prepared.examples["validation"]
    batches = evaluation_batches(
        examples.lengths, session.config.training.per_device_eval_batch_size
    )
    longest = examples.take(max(batches, key=partial(positions, examples)).tolist())
    session.predict_examples(longest, "validation", session.precision)


def _save(job: Job, run: Run, moments: dict[str, torch.Tensor]) -> None:
    """As large as a save will be, aside from where `welltuned resume` looks."""
    folder = run.folder / _FOLDER
    random = {"cpu": RandomNumbers.now(job.device).cpu}
    try:
        save_checkpoint(folder, 0, _trains(job), {}, optimizer=moments, random=random)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _seconds(job: Job, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if job.device.type == "cuda":
        torch.cuda.synchronize(job.device)
    return time.perf_counter() - start
