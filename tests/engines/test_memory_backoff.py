"""Where memory runs out, micro-batches become smaller and steps stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from spoiling import starve
from support import fit, job_for
from welltuned.engines import distributed, hf_trainer, torch_loop
from welltuned.engines.events import Listener, Step
from welltuned.engines.job import Job
from welltuned.engines.memory_backoff import MicroBatches, smaller
from welltuned.engines.memory_faults import out_of_memory_together
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter

ENGINES = {"torch": torch_loop, "hf": hf_trainer}


@dataclass
class Steps(Listener):
    """All steps, and each time that memory ran out."""

    steps: list[Step] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)

    def stepped(self, step: Step) -> None:
        self.steps.append(step)

    def backed_off(self, step: int, size: int) -> None:
        self.sizes.append((step, size))

    @property
    def losses(self) -> list[float]:
        return [step.loss for step in self.steps]


@pytest.fixture
def training(tiny: Any, few: str) -> Callable[..., tuple[Job, Steps]]:
    """`training(dropout, …)`: (a job of six steps, what will be told of it)."""

    def make(dropout: float = 0.0, **training: Any) -> tuple[Job, Steps]:
        heard = Steps()
        model = tiny("bert", hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
        asked = {"num_train_epochs": 1, "eval_strategy": "no", **training}
        return job_for(model, few, {"type": "full"}, heard, training=asked), heard

    return make


@pytest.mark.parametrize("engine", ENGINES)
def test_it_is_a_training_that_was_asked_for_smaller_ones(
    engine: str, training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit, dropout included."""
    asked, heard_asked = training(0.1, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    fit(ENGINES[engine], asked)
    job, heard = training(0.1)
    with monkeypatch.context() as patch:
        tried = starve(patch, size=3)
        outcome = fit(ENGINES[engine], job)
    assert heard.sizes == [(1, 4), (1, 2)] and tried[:3] == [8, 4, 2] and max(tried[2:]) == 2
    assert outcome.backoffs == [{"step": 1, "size": 4}, {"step": 1, "size": 2}]
    assert heard.losses == heard_asked.losses
    weights = zip(job.model.parameters(), asked.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_loss_curve_and_the_examples_of_each_step_stay(
    engine: str, training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs out in the middle, at the second micro-batch of the second step."""
    whole, heard_whole = training(gradient_accumulation_steps=2)
    fit(ENGINES[engine], whole)
    job, heard = training(gradient_accumulation_steps=2)
    starve(monkeypatch, size=7, after=3)
    outcome = fit(ENGINES[engine], job)
    assert heard.sizes == [(2, 4)] and outcome.examples == len(job.examples)
    for one, other in zip(heard.steps, heard_whole.steps, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert (one.examples, one.tokens) == (other.examples, other.tokens)
    assert len(set(heard.losses)) > 1


def test_one_example_that_is_too_large_ends_it(
    training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, heard = training()
    tried = starve(monkeypatch, size=0)
    with pytest.raises(RuntimeError, match="can't allocate"):
        torch_loop.fit_with_loop(job)
    assert tried == [8, 4, 2, 1] and heard.steps == []


def test_what_is_no_lack_of_memory_is_not_tried_again(
    training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, heard = training()
    tried: list[object] = []

    def broken(*arguments: object) -> Any:
        tried.append(arguments)
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr("welltuned.engines.gradients.accumulate", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        torch_loop.fit_with_loop(job)
    assert len(tried) == 1 and heard.sizes == []


def test_steps_by_tokens_are_cut_anew_too(training: Any) -> None:
    job, _ = training(max_tokens_per_step=64)
    meter = Meter(1)
    micro_batches = MicroBatches(job, meter)
    before = list(StepPlan.of(job.batches, job.training))
    meter.outcome.backoffs.append({"step": 1, "size": 4})
    for step in before:
        parts = micro_batches.fit(step).micro_batches
        [all_at_once] = step.micro_batches
        assert [int(i) for part in parts for i in part] == all_at_once.tolist()
        assert len(parts) == min(2, len(all_at_once))


def test_sizes_divide_a_step_evenly() -> None:
    assert [smaller(16, size) for size in (16, 8, 4, 2)] == [8, 4, 2, 1]
    assert [smaller(12, size) for size in (12, 6, 3)] == [6, 3, 1]
    assert [smaller(15, size) for size in (15, 5)] == [5, 1]
    assert smaller(7, 7) == 1


def test_several_processes_run_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has memory left must not wait for one that has none."""
    monkeypatch.setattr(distributed, "processes", lambda: 2)
    monkeypatch.setattr(distributed, "any_of", lambda own: True)
    with pytest.raises(MemoryError), out_of_memory_together():
        pass
    monkeypatch.setattr(distributed, "any_of", lambda own: own)
    with out_of_memory_together():
        pass
    with pytest.raises(MemoryError, match="out of memory here"), out_of_memory_together():
        raise RuntimeError("CUDA out of memory here")
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory_together():
        raise RuntimeError("shapes do not match")
