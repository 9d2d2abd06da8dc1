"""Forecast of a run, stored beside what is then measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import cast

import torch

from welltuned.engines.device import choose_device
from welltuned.errors import InputError
from welltuned.runs import process_memory
from welltuned.runs.results_schema import MemoryParts, PredictedCost
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.machine_profile import this_machine
from welltuned.training.forecast.prices import Machine
from welltuned.training.observer import Observer
from welltuned.training.prepare import RunPlan


def forecast_run_cost(prepared: RunPlan, observer: Observer) -> PredictedCost:
    """`{memory_bytes, train_seconds, artifact_bytes, memory: {its parts}}`.

    Empty for a model whose steps cannot be rehearsed: that must not cost the run.
    """
    config = prepared.config
    return foreseen(
        choose_device(config.training.device),
        lambda machine, held: forecast_run(
            prepared, config.strategy, config.training.resolved(), machine, held
        ),
        observer,
    )


def foreseen(
    device: torch.device, foresee: Callable[[Machine, int], Forecast], observer: Observer
) -> PredictedCost:
    """What `foresee` says for this machine and what the process holds now, for results.json."""
    held = 0 if device.type == "cuda" else process_memory.held()
    try:
        found = foresee(this_machine(device), held)
    except (RuntimeError, NotImplementedError, InputError) as error:
        observer.noted(f"memory and time could not be predicted: {str(error).splitlines()[0]}")
        return {}
    return {
        "memory_bytes": found.memory.total,
        "train_seconds": found.train_seconds,
        "artifact_bytes": found.artifact_bytes,
        "memory": cast(MemoryParts, asdict(found.memory)),
    }
