"""How batches are shared out among models, each in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from support import make_rows
from welltuned.artifact.save_load import load_artifact
from welltuned.artifact.side_by_side import predict_side_by_side
from welltuned.runs import Run
from welltuned.tasks import Examples, Problem

Asked = tuple[list[torch.nn.Module], Problem, Examples, int]


@pytest.fixture
def asked(finished: Run) -> Asked:
    """Two models that share no module, and thirty texts for them."""
    artifact, other = load_artifact(finished.model), load_artifact(finished.model)
    codec, pad_id = artifact.problem.codec, artifact.tokenizer.pad_token_id
    records = codec.records_of([row["text"] for row in make_rows(30, seed=6)])
    examples = codec.encode(artifact.tokenizer, records, 64)
    return [artifact.model, other.model], artifact.problem, examples, pad_id


def test_batches_are_computed_at_the_same_time_and_come_back_in_order(asked: Asked) -> None:
    """Each model waits in its first pass until the other is in one as well."""
    models, texts = asked[0], asked[1:]
    expected = predict_side_by_side(models[:1], *texts, 4, nullcontext)
    both, met = threading.Barrier(2), set[int]()

    def meet(model: torch.nn.Module, _: Any) -> None:
        if id(model) not in met:
            met.add(id(model))
            both.wait(10)

    for model in models:
        model.register_forward_pre_hook(meet)
    found = predict_side_by_side(models, *texts, 4, nullcontext)
    assert len(met) == 2
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_fails_in_a_thread_is_told_and_threads_are_as_before(asked: Asked) -> None:
    models, texts, before = asked[0], asked[1:], torch.get_num_threads()

    def fail(*_: Any) -> None:
        raise MemoryError("no room")

    models[1].register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        predict_side_by_side(models, *texts, 1, nullcontext)
    assert torch.get_num_threads() == before
