"""What is foreseen of a run, beside the run itself."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sentences import make_sentences, write_conll
from support import (
    ENCODER_DECODERS,
    STRATEGIES,
    config_values,
    make_preferences,
    make_rows,
    session_for,
    write_rows,
)
from welltuned.config import run_config_from
from welltuned.engines.device import CLEARLY, gain_of
from welltuned.runs.user_cache import remembered
from welltuned.training.forecast.forecast import Forecast, forecast_run
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.time import forecast_precision
from welltuned.training.preparation.prepare import RunPlan, prepare


@pytest.fixture
def prepared(tiny: Any, sentiment: str, tmp_path: Path) -> Any:
    """`prepared(strategy, **parts)`: a run that could start."""

    def make(strategy: Any = "full", model: Any = None, data: Any = None, **parts: Any) -> RunPlan:
        model, data = model or tiny("bert"), data or sentiment
        chosen = STRATEGIES[strategy] if isinstance(strategy, str) else strategy
        parts = {"task": {"pooling": "mean"}, **parts}
        values = config_values(model, data, chosen, tmp_path / "run", **parts)
        return prepare(run_config_from(values))

    return make


def foresee(prepared: RunPlan, machine: Machine, **changes: Any) -> Forecast:
    training = prepared.config.training.resolved().model_copy(update=changes)
    return forecast_run(prepared, prepared.config.strategy, training, machine, process=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_weights_are_those_of_the_real_model(
    strategy: str, prepared: Any, tiny: Any, sentiment: str, machine: Machine
) -> None:
    found = foresee(prepared(strategy), machine)
    real = session_for(tiny("bert"), sentiment, STRATEGIES[strategy])
    assert found.trainable == sum(p.numel() for group in real.groups for p in group.parameters)
    tensors = [*real.model.parameters(), *real.model.buffers()]
    assert found.memory.weights == pytest.approx(sum(t.nbytes for t in tensors), rel=0.01)
    assert found.memory.optimizer == 8 * found.trainable
    assert found.memory.gradients <= 4 * found.trainable


def test_every_task_can_be_rehearsed(
    prepared: Any, tiny: Any, causal: Any, instructions: str, machine: Machine, tmp_path: Path
) -> None:
    pairs = write_rows(tmp_path / "pairs.jsonl", make_preferences(30))
    entities = write_conll(tmp_path / "entities.conll", make_sentences(40))
    llama = causal("llama")
    tasks: list[tuple[Any, str, dict[str, Any]]] = [
        (tiny("bert"), entities, {"type": "token_classification"}),
        (llama, instructions, {"type": "generation", "max_length": 48, "packing": True}),
        (llama, pairs, {"type": "reward"}),
        (llama, pairs, {"type": "preference"}),
        (llama, pairs, {"type": "preference", "loss": "orpo"}),
        (llama, pairs, {"type": "kto"}),
    ]
    for model, data, task in tasks:
        found = foresee(prepared("lora", model, data, task=task), machine)
        assert found.train_seconds > 0 and found.memory.activations, task["type"]


@pytest.mark.parametrize(
    "family",
    [*(pytest.param(family, marks=pytest.mark.slow) for family in ENCODER_DECODERS), "albert"],
)
def test_every_family_can_be_rehearsed(
    family: str, prepared: Any, tiny: Any, two_sided: Any, instructions: str, machine: Machine
) -> None:
    """One of two stacks by both of its tasks; one whose layers share their weights by labels."""
    tasks: list[tuple[Any, Any, Any]] = [(tiny(family), None, {"pooling": "auto"})]
    if family != "albert":
        tasks.append((two_sided(family), instructions, {"type": "generation"}))
    for model, data, task in tasks:
        found = foresee(prepared("lora", model, data, task=task), machine)
        assert found.train_seconds > 0 and found.memory.activations, task


def test_larger_batches_need_more_memory_and_fewer_steps(prepared: Any, machine: Machine) -> None:
    ready = prepared()
    small = foresee(ready, machine, per_device_train_batch_size=4)
    large = foresee(ready, machine, per_device_train_batch_size=16)
    assert sum(large.memory.activations.values()) > 2 * sum(small.memory.activations.values())
    assert large.steps < small.steps


def test_accumulation_keeps_steps_and_saves_memory(prepared: Any, machine: Machine) -> None:
    ready = prepared()
    whole = foresee(ready, machine, per_device_train_batch_size=16)
    parts = foresee(ready, machine, per_device_train_batch_size=4, gradient_accumulation_steps=4)
    assert parts.steps == whole.steps and parts.memory.total < whole.memory.total


def test_recomputing_saves_memory_and_takes_time(prepared: Any, machine: Machine) -> None:
    ready = prepared("lora")
    plain = foresee(ready, machine)
    again = foresee(ready, machine, gradient_checkpointing=True)
    assert sum(again.memory.activations.values()) < sum(plain.memory.activations.values())
    assert again.train_seconds > plain.train_seconds


def test_gradual_unfreezing_takes_less_time_than_all_at_once(
    prepared: Any, machine: Machine
) -> None:
    gradual = foresee(prepared("gradual"), machine)
    whole = foresee(prepared(), machine)
    assert gradual.train_seconds < whole.train_seconds


def test_a_run_of_very_many_steps_is_foreseen_at_once(prepared: Any, machine: Machine) -> None:
    ready = prepared(training={"max_steps": 1_000_000, "num_train_epochs": "auto"})
    start = time.process_time()
    found = foresee(ready, machine)
    few = foresee(ready, machine, max_steps=1000)
    assert time.process_time() - start < 10
    assert found.steps == 1_000_000
    assert found.train_seconds == pytest.approx(1000 * few.train_seconds, rel=0.05)


def test_a_sealed_test_split_is_not_read(prepared: Any, machine: Machine) -> None:
    sealed = foresee(prepared(evaluation={"test": False}), machine)
    assert 0 < sealed.evaluation_seconds < foresee(prepared(), machine).evaluation_seconds


def test_no_weight_is_loaded(prepared: Any, machine: Machine, monkeypatch: Any) -> None:
    ready = prepared("lora")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("weights were loaded")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", refuse)
    assert foresee(ready, machine).parameters > 0


def test_long_texts_count(prepared: Any, tmp_path: Path, machine: Machine) -> None:
    rows = make_rows(60)
    long = [{**row, "text": " ".join([row["text"]] * 3) + f" {i}"} for i, row in enumerate(rows)]
    found = foresee(prepared(data=write_rows(tmp_path / "long.jsonl", long)), machine)
    short = foresee(prepared(data=write_rows(tmp_path / "short.jsonl", rows)), machine)
    assert found.train_seconds > short.train_seconds


@pytest.mark.parametrize("gain", [1.1, 1.3])
def test_the_precision_is_the_one_that_pays(
    prepared: Any, machine: Machine, gain: float, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    none: dict[str, Any] = dict.fromkeys(("call", "light", "thin", "fresh"), 0.0)
    whole, half = ((1.0, 1e-11), (1e9, 1e-2)), ((1.0, 1e-12), (1e9, 1e-3))
    fast = replace(machine, matmul=whole, matmul_half=half, functions={}, **none)
    ready = prepared(training={"precision": "auto"})
    assert foresee_precision(ready, fast) == "bf16"
    assert foresee_precision(ready, machine) == "fp32", "there is nothing to gain"
    remembered(gain_of(ready.anatomy), lambda: gain)
    known = "bf16" if gain > CLEARLY else "fp32"
    assert foresee_precision(ready, fast) == foresee_precision(ready, machine) == known


def foresee_precision(prepared: RunPlan, machine: Machine) -> str:
    rehearsal = Rehearsal.of(prepared, prepared.config.strategy, torch.device("cpu"))
    batch = np.arange(4)
    return forecast_precision(rehearsal, prepared.config.training.resolved(), machine, batch)


def test_bf16_takes_less_memory_for_what_waits(prepared: Any, machine: Machine) -> None:
    ready = prepared("full")
    full, half = (foresee(ready, machine, precision=name) for name in ("fp32", "bf16"))
    waiting = [sum(found.memory.activations.values()) for found in (full, half)]
    assert waiting[1] < waiting[0]
    assert half.memory.weights == full.memory.weights, "the weights stay in four bytes"


def test_scoring_leaves_memory_behind(prepared: Any, machine: Machine) -> None:
    ready = prepared()
    small = foresee(ready, machine, per_device_eval_batch_size=2).memory.allocator
    assert foresee(ready, machine, per_device_eval_batch_size=8).memory.allocator > 2 * small > 0
    assert foresee(ready, replace(machine, churn=0.0)).memory.allocator == 0
