"""Who has replicas, and how batches are shared out among them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from support import make_rows
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.replicas import replicas_of
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.artifact.side_by_side import predict_side_by_side
from welltuned.engines.threads import restored_threads
from welltuned.runs import Run


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    return lambda number: monkeypatch.setattr("torch.get_num_threads", lambda: number)


def made_of(run: Run) -> tuple[Artifact, Callable[[], Artifact]]:
    return load_artifact(run.model), lambda: load_artifact(run.model)


@pytest.mark.parametrize(("number", "replicas"), [(1, 0), (2, 1), (3, 2), (4, 3), (64, 3)])
def test_there_are_as_many_as_cores_can_use(
    number: int, replicas: int, finished: Run, cores: Callable[[int], None]
) -> None:
    cores(number)
    assert len(replicas_of(*made_of(finished))) == replicas


def test_what_would_not_be_faster_has_none(
    answering: Callable[[str], Run],
    finished: Run,
    cores: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cores(4)
    writer, again = made_of(answering("generation"))
    assert not replicas_of(writer, again), "answers differ in length"
    artifact, again = made_of(finished)
    graph = replace(artifact, model=torch.nn.Identity())
    assert not replicas_of(graph, again), "another runtime has its own threads"
    on_gpu = replace(artifact, model=torch.nn.Linear(2, 2, device="meta"))
    assert not replicas_of(on_gpu, again)
    assert not replicas_of(artifact, None)
    size = sum(weight.nbytes for weight in artifact.model.parameters())
    monkeypatch.setattr("welltuned.artifact.replicas._MOST_BYTES", size - 1)
    assert not replicas_of(artifact, again), "a large one keeps all cores busy"


def test_few_texts_load_none_and_many_do(
    finished: Run, cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cores(2)
    monkeypatch.setattr("welltuned.artifact.predictor._MUCH", 200)
    predictor = Predictor.load(finished)
    texts = [row["text"] for row in make_rows(64, seed=4)]
    predictor.predict(texts[:3])
    assert "replicas" not in vars(predictor)
    predictor.predict(texts)
    assert len(vars(predictor)["replicas"]) == 1


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


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with restored_threads() as told:
        torch.set_num_threads(before + 1)
    assert told == before == torch.get_num_threads()
