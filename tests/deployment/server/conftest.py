"""Servers of tiny models, asked in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import welltuned as wt
from support import make_rows, short_tune, write_rows
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.access import Access
from welltuned.deployment.server.app import Service, gated
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.model_files import ModelFiles
from welltuned.runs import Run

NAME = "mine"
TALK = "talk"


@pytest.fixture(scope="session")
def served(
    answering: Callable[[str], Run],
    causal: Callable[..., str],
    built_once: Callable[..., Path],
) -> Callable[[str], Run]:
    """`served("pairs")`: a finished run of a task; of "talk" one that answers in words it knows."""

    def build(folder: Path) -> None:
        rows = [
            {
                "messages": [
                    {"role": "user", "content": row["text"]},
                    {"role": "assistant", "content": "it was a very good film"},
                ]
            }
            for row in make_rows(60)
        ]
        data = write_rows(folder / "talk.jsonl", rows)
        task = {"type": "generation", "decoding": {"max_new_tokens": 8}, "scored_examples": 2}
        training = {"num_train_epochs": 4, "learning_rate": 1e-2}
        short_tune(
            causal("llama"), data, {"type": "full"}, folder / "run", task=task, training=training
        )

    def find(task: str) -> Run:
        return Run(built_once("talk", build) / "run") if task == TALK else answering(task)

    return find


@pytest.fixture(scope="session")
def loaded(served: Callable[[str], Run]) -> Callable[[str], Predictor]:
    """`loaded("pairs")`: the model of a task, loaded once."""
    predictors: dict[str, Predictor] = {}

    def load(task: str) -> Predictor:
        if task not in predictors:
            predictors[task] = wt.load(served(task))
        return predictors[task]

    return load


@pytest.fixture
def service(
    served: Callable[[str], Run], loaded: Callable[[str], Predictor]
) -> Iterator[Callable[..., Service]]:
    """`service("pairs", ServerLimits(…))`: a model that is served; it ends with the test."""
    made: list[Service] = []

    def make(task: str, limits: ServerLimits | None = None, **options: Any) -> Service:
        options = {"predictor": loaded(task), "files": ModelFiles(served(task).model), **options}
        made.append(Service(name=NAME, limits=limits or ServerLimits(), **options))
        return made[-1]

    yield make
    for one in made:
        one.batcher.close(patience=10)


@pytest.fixture
def client(service: Callable[..., Service]) -> Callable[..., TestClient]:
    """`client("pairs")`: asks a server of a task's model, as a program on this machine does."""

    def make(task: str, access: Access | None = None, **options: Any) -> TestClient:
        server = gated(service(task, **options), access or Access())
        return TestClient(server, base_url="http://localhost")

    return make
