"""Batched inference by replicas of a model, each in a thread with its own share of the cores.

Threads that share one product of small matrices mostly wait for each other; those that each compute
a batch of their own do not. On two cores MiniLM answers batches of 1 to 16 short texts 1.3 to 1.6
times as fast this way, and larger ones 1.15 times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from queue import SimpleQueue

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import evaluation_batches
from welltuned.engines.threads import restored_threads
from welltuned.evaluation.predict import batch_outputs, computing_device, predict_outputs
from welltuned.models.freezing import in_eval_mode
from welltuned.models.sharding import reading
from welltuned.tasks import Examples, Problem


def predict_side_by_side(
    models: Sequence[nn.Module],
    problem: Problem,
    examples: Examples,
    pad_id: int,
    batch_size: int,
    precision: Callable[[], AbstractContextManager[object]],
    max_tokens: int | None = None,
) -> np.ndarray:
    """Outputs (N, K), as `predict_outputs`, by models that compute alike and share no module.

    `precision` makes a context for each batch, for a thread's arithmetic is its own.
    """
    if len(models) == 1:
        asked = models[0], problem, examples, pad_id, batch_size, precision()
        return predict_outputs(*asked, max_tokens=max_tokens)
    batches = evaluation_batches(examples.lengths, batch_size, max_tokens)
    free: SimpleQueue[nn.Module] = SimpleQueue()
    for one in models:
        free.put(one)

    def outputs_of(indices: np.ndarray) -> np.ndarray:
        model = free.get()
        try:
            with in_eval_mode(model), reading(model), precision():
                device = computing_device(model)
                return batch_outputs(model, problem, examples, indices, pad_id, device)
        finally:
            free.put(model)

    with restored_threads() as threads:
        share = max(1, threads // len(models))
        with ThreadPoolExecutor(len(models), "side", torch.set_num_threads, (share,)) as pool:
            parts = list(pool.map(outputs_of, batches))
    outputs = np.zeros((len(examples), *parts[0].shape[1:]), dtype=np.float32)
    outputs[np.concatenate(batches)] = np.concatenate(parts)
    return outputs
