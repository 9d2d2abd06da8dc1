"""The untouched model is asked once, whoever tunes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import STRATEGIES, session_for, tune
from welltuned.evaluation import eval_model
from welltuned.evaluation.features import trunk_of
from welltuned.training import results
from welltuned.training.observer import Observer
from welltuned.training.retention_steps import measure_base, measure_retention
from welltuned.training.session.session import before_training

PARTS: dict[str, Any] = {
    "task": {"pooling": "mean"},
    "evaluation": {"retention": "auto", "probe": True, "untrained": False},
}
GENERATES: dict[str, Any] = {"task": {"type": "generation"}, "evaluation": {"retention": "auto"}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which nothing is kept yet."""
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@contextmanager
def passes(session: Any) -> Iterator[list[int]]:
    """The rows of each forward pass of a session's trunk."""
    rows: list[int] = []
    trunk = trunk_of(session.model, session.prepared.anatomy)
    hook = trunk.register_forward_hook(lambda module, args, output: rows.append(len(output[0])))
    try:
        yield rows
    finally:
        hook.remove()


def seeded(number: int) -> dict[str, Any]:
    return {**PARTS, "training": {"seed": number}}


ALONE = {"prompt", "prefix", "projected", "partial", "head", "gradual"}
"""Their attention is computed by another function, or frozen blocks run without padding, so other
seeds of theirs alone share answers."""


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "full"])
def test_each_strategy_finds_what_another_has_measured(
    strategy: str, tiny: Any, sentiment: str
) -> None:
    """And would have measured the same itself, bit for bit."""
    earlier = STRATEGIES[strategy if strategy in ALONE else "full"]
    first = session_for(tiny("bert"), sentiment, earlier, **seeded(0))
    with passes(first) as rows:
        known = measure_base(first, Observer())
    assert sum(rows) > 300
    second = session_for(tiny("bert"), sentiment, STRATEGIES[strategy], **seeded(1))
    texts = known.memory.questions[0].task.texts[:40]  # type: ignore[attr-defined]
    with second.config.strategy.base_model(second.model):
        own = second.subject(second.precision_in_use).features(texts)
    with first.config.strategy.base_model(first.model):
        same = first.subject(first.precision_in_use).features(texts)
    np.testing.assert_array_equal(own, same)
    with passes(second) as rows:
        found = measure_base(second, Observer())
    assert rows == []
    assert found.layers == known.layers
    for one, other in zip(found.memory.questions, known.memory.questions, strict=True):
        assert one.name == other.name
    np.testing.assert_array_equal(
        found.memory.questions[0].right_N,  # type: ignore[attr-defined]
        known.memory.questions[0].right_N,  # type: ignore[attr-defined]
    )


def test_another_base_is_asked_itself(tiny: Any, sentiment: str) -> None:
    for base in ("bert", "roberta"):
        session = session_for(tiny(base), sentiment, "full", **seeded(0))
        with passes(session) as rows:
            measure_base(session, Observer())
        assert sum(rows) > 300


def test_below_a_head_that_alone_trains_nothing_is_measured_twice(
    tiny: Any, sentiment: str
) -> None:
    session = session_for(tiny("bert"), sentiment, STRATEGIES["head"], **seeded(0))
    before = measure_base(session, Observer())
    with passes(session) as rows:
        found = measure_retention(session, before, Observer())
    assert rows == [] and found["retention"]["kept"] == 1
    assert found["probe"]["before"] == found["probe"]["after"]


def test_what_trained_is_measured_anew(tiny: Any, sentiment: str) -> None:
    session = session_for(tiny("bert"), sentiment, STRATEGIES["partial"], **seeded(0))
    before = measure_base(session, Observer())
    with passes(session) as rows:
        measure_retention(session, before, Observer())
    assert sum(rows) > 300


def test_a_language_model_is_asked_once(causal: Any, instructions: str) -> None:
    """Its losses, and the hidden states that its divergence is measured from."""
    model = causal("llama")
    first = session_for(model, instructions, "full", **GENERATES)
    with passes(first) as rows:
        known = measure_base(first, Observer())
    assert sum(rows) > 100
    second = session_for(model, instructions, STRATEGIES["lora"], **GENERATES)
    with passes(second) as rows:
        found = measure_base(second, Observer())
    tries = sum("kl" in question.kinds for question in found.memory.questions)
    assert len(rows) <= 2 * tries, "only whether logits are those of the output layer is tried"
    one, other = (
        base.memory.compared(first.subject(first.precision_in_use)) for base in (known, found)
    )
    assert one == other


def test_the_untrained_baseline_is_read_once_for_runs_that_begin_alike(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    def building(session: Any) -> Any:
        built.append(1)
        return before_training(session)

    monkeypatch.setattr(results, "before_training", building)
    parts = {"task": {"pooling": "mean"}, "evaluation": {"untrained": True}}
    first, second = (
        tune(tiny("bert"), sentiment, "full", tmp_path / name, **parts, training=training)
        for name, training in (("one", {"learning_rate": 1e-3}), ("two", {"learning_rate": 1e-4}))
    )
    assert len(built) == 1
    baselines = first.results["baselines"]
    assert baselines["untrained"] == second.results["baselines"]["untrained"]
    tune(tiny("bert"), sentiment, "full", tmp_path / "other", **parts, training={"seed": 7})
    assert len(built) == 2, "a new head that begins elsewhere is another model"


def test_the_reference_of_preferences_is_read_once(
    causal: Any, preferences: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By each who learns from them, whatever its strategy."""
    read: list[int] = []
    predict = vars(eval_model)["predict_outputs"]

    def counting(*args: Any) -> np.ndarray:
        read.append(1)
        return predict(*args)

    monkeypatch.setattr(eval_model, "predict_outputs", counting)
    asked = {"task": {"type": "preference"}}
    first = session_for(causal("llama"), preferences, "full", **asked)
    assert len(read) == 3, "each split"
    second = session_for(causal("llama"), preferences, STRATEGIES["lora"], **asked)
    assert len(read) == 3
    for split, examples in first.prepared.examples.items():
        theirs = second.prepared.examples[split].targets
        assert examples.targets is not None and theirs is not None
        for one, other in zip(examples.targets, theirs, strict=True):
            np.testing.assert_array_equal(one.reference_K, other.reference_K)
