"""The pooling of a run that leaves it open: the model's own, the task's usual one, or a probe's."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from welltuned.config import run_config_from
from welltuned.models import loading, pooling
from welltuned.models.pooling import PoolingChoice
from welltuned.training.observer import Observer
from welltuned.training.preparation.model_plan import OwnPooling
from welltuned.training.preparation.prepare import RunPlan, prepare
from welltuned.training.session.choose_pooling import resolve_pooling


class Hearing(Observer):
    """What a person is told, and how far long work came."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def working(self, what: str, done: int, total: int) -> None:
        self.done.append(done)


def planned(model: str, data: str, task: str) -> RunPlan:
    return prepare(run_config_from({"model": model, "data": data, "task": task}))


def test_a_pooling_that_is_asked_for_stays() -> None:
    asked: Any = SimpleNamespace(config=SimpleNamespace(task=SimpleNamespace(pooling="first")))
    assert resolve_pooling(asked, Observer()) is asked


def test_the_usual_pooling_is_no_probe(tiny: Any, preferences: str) -> None:
    for family, usual in (("bert", "mean"), ("llama", "last")):
        heard = Hearing()
        settled = resolve_pooling(planned(tiny(family), preferences, "reward"), heard)
        assert settled.config.task.pooling == usual and heard.done == []
        assert "usual for the task" in heard.notes[0]


def test_a_pooling_that_the_model_was_trained_with_comes_first(tiny: Any, preferences: str) -> None:
    plan, heard = planned(tiny("bert"), preferences, "reward"), Hearing()
    own = OwnPooling("first", "its own file")
    settled = resolve_pooling(replace(plan, model=replace(plan.model, own_pooling=own)), heard)
    assert settled.config.task.pooling == "first"
    assert settled.head.config.pooling == "first", "the head reads it as well"
    assert heard.notes == ["the head reads the first token (its own file)"]


def test_else_training_texts_decide(tiny: Any, few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, heard, probed = planned(tiny("bert"), few, "classification"), Hearing(), list[Any]()

    def probe(*given: Any) -> PoolingChoice:
        probed.append(given)
        return PoolingChoice("first", "0.9 against 0.8")

    loaded = SimpleNamespace(model=SimpleNamespace(base_model="trunk"))
    monkeypatch.setattr(loading, "load_model", lambda *given: loaded)
    monkeypatch.setattr(pooling, "probe_poolings", probe)
    settled = resolve_pooling(plan, heard)
    [(trunk, kind, examples, targets, regression, pad)] = probed
    train = plan.examples["train"]
    assert (trunk, kind, regression, pad) == ("trunk", "encoder", False, plan.pad_id)
    assert len(examples) == len(targets) == len(train)
    assert settled.config.task.pooling == "first" and heard.done == [0, 1]
    assert heard.notes == ["the head reads the first token (0.9 against 0.8)"]
