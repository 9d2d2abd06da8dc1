"""How batches are shared out among models, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from support import make_rows
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.artifact.side_by_side import predict_side_by_side
from welltuned.runs import Run


def made_of(run: Run) -> tuple[Artifact, Callable[[], Artifact]]:
    return load_artifact(run.model), lambda: load_artifact(run.model)


def test_batches_are_computed_at_the_same_time_and_come_back_in_order(finished: Run) -> None:
    """Each model waits in its first pass until the other is in one as well."""
    artifact, again = made_of(finished)
    records = artifact.problem.codec.records_of([row["text"] for row in make_rows(30, seed=6)])
    examples = artifact.problem.codec.encode(artifact.tokenizer, records, 64)
    models = [artifact.model, again().model]
    asked = artifact.problem, examples, artifact.tokenizer.pad_token_id, 4
    expected = predict_side_by_side(models[:1], *asked, nullcontext)
    both, met = threading.Barrier(2), set[int]()

    def meet(model: torch.nn.Module, _: Any) -> None:
        if id(model) not in met:
            met.add(id(model))
            both.wait(10)

    for model in models:
        model.register_forward_pre_hook(meet)
    found = predict_side_by_side(models, *asked, nullcontext)
    assert len(met) == 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_fails_in_a_thread_is_told_and_threads_are_as_before(finished: Run) -> None:
    artifact, again = made_of(finished)
    records = artifact.problem.codec.records_of([row["text"] for row in make_rows(30, seed=6)])
    examples = artifact.problem.codec.encode(artifact.tokenizer, records, 64)
    models, before = [artifact.model, again().model], torch.get_num_threads()

    def fail(*_: Any) -> None:
        raise MemoryError("no room")

    models[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        predict_side_by_side(models, artifact.problem, examples, 0, 1, nullcontext)
    assert torch.get_num_threads() == before
