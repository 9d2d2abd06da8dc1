"""Advice for a training that runs out of memory."""

from __future__ import annotations

from welltuned.engines.memory_faults import choose, lower
from welltuned.training.preparation.prepare import RunPlan


def saving_memory(prepared: RunPlan) -> list[str]:
    """What makes training take less memory, with the settings as they are now.

    Micro-batches are made smaller as it goes, down to one example; not through sharded weights.
    """
    training = prepared.config.training
    size = training.per_device_train_batch_size if training.sharding else None
    return [
        *lower("training.per_device_train_batch_size", size),
        *lower("task.max_length", prepared.max_length),
        *choose("training.gradient_checkpointing", training.gradient_checkpointing, True),
        *choose("training.precision", training.precision, "bf16"),
    ]
