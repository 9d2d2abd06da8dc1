"""Batched inference: a model's outputs for a whole split, in the split's order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import evaluation_batches
from welltuned.models.freezing import in_eval_mode
from welltuned.models.sharding import reading, through
from welltuned.tasks import Examples, Problem

ANSWERED_AT_ONCE = 16
"""The batch size of free-text generation."""


def to_device(batch: dict[str, np.ndarray], device: torch.device) -> dict[str, torch.Tensor]:
    """A batch of arrays as tensors on the model's device."""
    return {
        name: torch.from_numpy(array).to(device, non_blocking=True) for name, array in batch.items()
    }


def computing_device(model: nn.Module) -> torch.device:
    """Where a model computes; one without parameters is another runtime's, and on the CPU."""
    first = next(model.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def predict_outputs(
    model: nn.Module,
    problem: Problem,
    examples: Examples,
    pad_id: int,
    batch_size: int,
    precision: AbstractContextManager[object] | None = None,
    progress: Callable[[int], None] = lambda done: None,
    max_tokens: int | None = None,
) -> np.ndarray:
    """Outputs (N, K) with everything in eval mode. Modes are put back afterwards.

    With `max_tokens` long examples are read in smaller batches.
    """
    device = computing_device(model)
    outputs: np.ndarray | None = None
    done = 0
    with in_eval_mode(model), reading(model), precision or nullcontext():
        for indices in evaluation_batches(examples.lengths, batch_size, max_tokens):
            part = batch_outputs(model, problem, examples, indices, pad_id, device)
            if outputs is None:
                outputs = np.zeros((len(examples), *part.shape[1:]), dtype=np.float32)
            outputs[indices] = part
            done += len(indices)
            progress(done)
    assert outputs is not None, "a split is never empty"
    return outputs


def batch_outputs(
    model: nn.Module,
    problem: Problem,
    examples: Examples,
    indices: np.ndarray,
    pad_id: int,
    device: torch.device,
) -> np.ndarray:
    """Outputs (B, K) of the examples at some indices, in that order, in one pass."""
    batch = to_device(problem.codec.collate(examples, indices.tolist(), pad_id), device)
    found = through(model, partial(problem.objective.outputs, model, batch))
    return found.float().cpu().numpy()
