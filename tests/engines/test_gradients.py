"""A step whose loss or gradient is no number is never taken, in either engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from faults import fails
from spoiling import reads, spoil
from support import fit, job_for
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.events import Listener, Step
from welltuned.engines.job import Job
from welltuned.engines.snapshot import Snapshot
from welltuned.errors import NotFinite

ENGINES = {"torch": torch_loop, "hf": hf_trainer}


@dataclass
class Told(Listener):
    """What an engine told of a training, and wrote of it."""

    taken: list[int] = field(default_factory=list)
    skips: list[tuple[int, str]] = field(default_factory=list)
    saved: dict[int, Snapshot] = field(default_factory=dict)
    studies: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def stepped(self, step: Step) -> None:
        self.taken.append(step.step)

    def skipped(self, step: Step, flaw: str) -> None:
        self.skips.append((step.step, flaw))

    def save(self, found: Snapshot) -> None:
        weights, optimizer = copied(found.weights), copied(found.optimizer)
        self.saved[found.step] = replace(found, weights=weights, optimizer=optimizer)

    def study(self, step: int, found: Mapping[str, object]) -> None:
        self.studies[step] = found

    def moved(self, step: int) -> bool:
        """Whether a step changed any weight, or anything of the optimizer."""
        before, after = self.saved[step - 1], self.saved[step]
        return any(
            not torch.equal(now, was[name])
            for was, tensors in (
                (before.weights, after.weights),
                (before.optimizer, after.optimizer),
            )
            for name, now in tensors.items()
        )


def copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@pytest.fixture
def training(tiny: Any, few: str) -> Any:
    """`training(…)`: (a job of three steps of two micro-batches, what will be told of it)."""

    def make(**training: Any) -> tuple[Job, Told]:
        told = Told()
        asked = {"num_train_epochs": 1, "gradient_accumulation_steps": 2, "save_steps": 1}
        job = job_for(tiny("bert"), few, {"type": "full"}, told, training={**asked, **training})
        return replace(job, save=told.save, study=told.study), told

    return make


def bad_example(job: Job) -> int:
    """One that the second micro-batch of the second step takes."""
    return int(job.batches.steps(0)[1][1][0])


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_flawed_step_changes_nothing_and_is_passed_over(
    engine: str, what: str, training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one of its micro-batches alone, and at a step of which no line is logged."""
    job, told = training(max_skipped_steps=1)
    spoil(monkeypatch, what, reads(job.examples, bad_example(job)))
    outcome = fit(ENGINES[engine], job)
    assert told.skips == [(2, what)] and told.taken == [1, 3]
    assert (outcome.steps, outcome.skipped_steps) == (3, 1)
    assert not told.moved(2) and told.moved(3)
    assert all(torch.isfinite(weight).all() for weight in job.model.parameters())


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("engine", ENGINES)
def test_it_stops_a_run_that_may_skip_none(
    engine: str, what: str, training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, told = training()
    spoil(monkeypatch, what, reads(job.examples, bad_example(job)))
    with fails("training.not_finite", quantity=what, step=2) as stop:
        fit(ENGINES[engine], job)
    assert isinstance(stop.value, NotFinite) and stop.value.exit_status == 3
    assert told.taken == [1] and told.skips == []
    [(step, study)] = told.studies.items()
    read = [[one["id"] for one in batch["examples"]] for batch in study["micro_batches"]]
    name = job.examples.records.id
    assert step == 2
    assert read == [[name(int(i)) for i in batch] for batch in job.batches.steps(0)[1]]


def test_the_count_of_skipped_steps_is_kept_to(
    training: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, told = training(num_train_epochs=3, max_skipped_steps=2)
    spoil(monkeypatch, "loss", reads(job.examples, bad_example(job)))
    with fails("training.not_finite"):
        torch_loop.fit_with_loop(job)
    assert len(told.skips) == 2 and len(told.studies) == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_a_score_that_is_no_number_is_never_the_best(engine: str, training: Any) -> None:
    job, _ = training(eval_strategy="steps", eval_steps=1)
    scores = iter([float("nan"), 0.5, float("nan")])
    kept: list[int] = []
    job = replace(
        job,
        validate=lambda: {"macro_f1": next(scores)},
        keep=lambda step, found: kept.append(step),
    )
    assert fit(ENGINES[engine], job).best_step == 2 and kept == [2]
