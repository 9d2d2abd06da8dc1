"""Who has replicas, and how batches are shared out among them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support import make_rows
from welltuned.artifact.predictor import Predictor
from welltuned.artifact.replicas import replicas_of
from welltuned.artifact.save_load import Artifact, load_artifact
from welltuned.runs import Run


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Not torch's own number: other tests would compute with it afterwards."""

    def have(number: int) -> None:
        threads = SimpleNamespace(get_num_threads=lambda: number)
        monkeypatch.setattr("welltuned.artifact.replicas.torch", threads)

    return have


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


def test_one_answers_alone_where_the_files_are_gone_or_others(
    finished: Run, cores: Callable[[int], None], tmp_path: Path
) -> None:
    cores(2)
    folder = shutil.copytree(finished.model, tmp_path / "model")
    gone = Predictor.load(folder)
    shutil.rmtree(folder)
    assert gone.replicas == []
    artifact, _ = made_of(finished)
    other = replace(artifact, model=torch.nn.Linear(2, 2))
    assert replicas_of(artifact, lambda: other) == []


def test_weights_that_are_exchanged_count_at_once(
    finished: Run, cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cores(2)
    monkeypatch.setattr("welltuned.artifact.predictor._MUCH", 0)
    predictor = Predictor.load(finished)
    texts = [row["text"] for row in make_rows(20, seed=4)]
    predictor.predict(texts)
    assert len(predictor.replicas) == 1
    for weight in predictor.model.parameters():
        weight.data = torch.zeros_like(weight)
    for row in predictor.predict(texts, batch_size=2):
        assert set(row["probabilities"].values()) == {0.5}, "no replica answers as before"


def test_no_memory_for_another_is_no_failure(finished: Run, cores: Callable[[int], None]) -> None:
    cores(2)

    def again() -> Artifact:
        raise MemoryError

    assert replicas_of(load_artifact(finished.model), again) == []


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
