"""The memory that a step of training takes, measured in processes that share the weights or not."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def measure_step_as_rank(request: Any, tell: Any) -> None:
    """As one of several processes: bytes of tensors at the peak of a second step, into a file.

    What was there before the step is counted, and what the CPU's allocator gives meanwhile.
    """
    os.environ.update(request["environment"])
    from welltuned.config import run_config_from
    from welltuned.engines import distributed
    from welltuned.training.auto_tune import auto_tune
    from welltuned.training.observer import Observer
    from welltuned.training.preparation.prepare import prepare
    from welltuned.training.session.session import load_session

    distributed.join_process_group("cpu")
    session = auto_tune(
        load_session(prepare(run_config_from(request["values"])), Observer()), Observer()
    )
    found = peak_of_step(session.job())
    if distributed.is_main():
        Path(request["out"]).write_text(json.dumps(found), encoding="utf-8")


def peak_of_step(job: Any) -> dict[str, int]:
    """Bytes of what a step begins with, and of that with what it takes at most."""
    from torch.profiler import ProfilerActivity, profile

    from welltuned.engines.loop_state import LoopState

    state = LoopState(job)
    state.begin()
    steps = iter(state.left())
    take(state, next(steps))  # moments, and what is made once
    held = sum(map(bytes_of, [*job.model.parameters(), *job.model.buffers()]))
    held += sum(bytes_of(t) for kept in state.optimizer.state.values() for t in kept.values())
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        take(state, next(steps))
    events = seen.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return {"held": held, "peak": held + most}


def take(state: Any, step: Any) -> None:
    import torch

    state.gradients.take(step, torch.Tensor.backward)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)


def bytes_of(tensor: Any) -> int:
    from welltuned.models.tensor_parts import own_part

    part = own_part(tensor)
    return int(part.numel() * part.element_size())
