"""A run's own forecast, made before its weights are loaded and kept beside what is measured."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from welltuned.engines.precision import choose_device
from welltuned.observer import Observer
from welltuned.planning.forecast import forecast
from welltuned.planning.machine import this_machine
from welltuned.preparation import Prepared
from welltuned.runs import memory


def predict_cost(prepared: Prepared, observer: Observer) -> dict[str, Any]:
    """`{memory_bytes, train_seconds, artifact_bytes, memory: {its parts}}`.

    Empty for a model whose steps cannot be rehearsed: that must not cost the run.
    """
    config = prepared.config
    device = choose_device(config.training.device)
    held = 0 if device.type == "cuda" else memory.held()
    try:
        found = forecast(
            prepared, config.strategy, config.training.at_once, this_machine(device), held
        )
    except (RuntimeError, NotImplementedError) as error:
        observer.noted(f"memory and time could not be predicted: {str(error).splitlines()[0]}")
        return {}
    return {
        "memory_bytes": found.memory.total,
        "train_seconds": found.train_seconds,
        "artifact_bytes": found.artifact_bytes,
        "memory": asdict(found.memory),
    }
