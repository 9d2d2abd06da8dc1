"""Both engines compute the same: every strategy, step by step.

Dropout is off in the tiny models, so that what is compared is the arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from support import STRATEGIES, fit, job_for
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.accumulate import accumulate, advance
from welltuned.engines.events import Listener, Step
from welltuned.engines.step_plan import StepPlan
from welltuned.engines.throughput import Meter
from welltuned.strategies import Progress


class Losses(Listener):
    """Notes what every step reports."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.changes: list[tuple[int, str]] = []
        self.scores: list[dict[str, Any]] = []

    def stepped(self, step: Step) -> None:
        self.steps.append(step)

    def changed(self, step: int, what: str) -> None:
        self.changes.append((step, what))

    def evaluated(self, step: int, epoch: float, scores: dict[str, Any], best: bool) -> None:
        self.scores.append({"step": step, "best": best, **scores})


def turn(
    engine: Any,
    model: str,
    data: str,
    strategy: str,
    folder: Path,
    task: dict[str, Any] | None = None,
    protection: Any = (),
    **training: Any,
) -> Any:
    """(losses, final weights) of a training by one engine."""
    losses = Losses()
    parts = {"training": training, "protection": protection} | ({"task": task} if task else {})
    job = job_for(model, data, STRATEGIES[strategy], losses, **parts)
    job.folder = folder
    fit(engine, job)
    return losses, {name: value.detach().clone() for name, value in job.model.named_parameters()}


def require_same_turns(one: Any, other: Any) -> None:
    """Two trainings have equal losses, step by step, and end with equal weights."""
    (losses, weights), (other_losses, other_weights) = one, other
    assert [step.loss for step in other_losses.steps] == pytest.approx(
        [step.loss for step in losses.steps], abs=1e-6
    )
    require_same_weights(weights, other_weights)


def require_same_weights(weights: Any, others: Any) -> None:
    for name, value in weights.items():
        torch.testing.assert_close(others[name], value, atol=1e-6, rtol=1e-5)


def quick(chosen: Iterable[str], among: Iterable[str]) -> list[Any]:
    """Each of `among`; those that are not chosen are slow tests, for they share most of their
    code with one that is."""
    kept = set(chosen)
    return [pytest.param(one, marks=[] if one in kept else pytest.mark.slow) for one in among]


@pytest.mark.parametrize("accumulation", [4, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "strategy", quick(("full", "gradual", "lora", "pfeiffer", "prefix", "prompt"), STRATEGIES)
)
def test_the_engines_agree_step_by_step(
    strategy: str, accumulation: int, tiny: Any, few: str, tmp_path: Path
) -> None:
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    training: dict[str, Any] = {
        "num_train_epochs": 3,
        "gradient_accumulation_steps": accumulation,
        "per_device_train_batch_size": 4,
    }
    plain, weights = turn(torch_loop, model, few, strategy, tmp_path, **training)
    hf, hf_weights = turn(hf_trainer, model, few, strategy, tmp_path, **training)
    assert [step.step for step in plain.steps] == [step.step for step in hf.steps]
    for ours, theirs in zip(plain.steps, hf.steps, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
        assert theirs.learning_rate == pytest.approx(ours.learning_rate, rel=1e-9)
        assert theirs.gradient_norm == pytest.approx(ours.gradient_norm, rel=1e-5)
        assert (theirs.examples, theirs.tokens) == (ours.examples, ours.tokens)
    assert plain.changes == hf.changes and (strategy != "gradual" or len(plain.changes) > 1)
    assert plain.scores == hf.scores
    require_same_weights(weights, hf_weights)


@pytest.mark.parametrize(
    "strategy",
    quick(("full", "lora", "prefix"), [name for name in STRATEGIES if name != "head"]),
)
def test_the_engines_agree_on_generation(
    strategy: str, causal: Any, instructions: str, tmp_path: Path
) -> None:
    task = {"type": "generation", "max_length": 48}
    training = {
        "num_train_epochs": 2,
        "eval_strategy": "no",
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 4,
    }
    turns = [
        turn(engine, causal("llama"), instructions, strategy, tmp_path, task=task, **training)
        for engine in (torch_loop, hf_trainer)
    ]
    require_same_turns(*turns)


@pytest.mark.parametrize("strategy", quick(["gradual"], ["full", "partial", "gradual"]))
def test_the_engines_draw_the_same_dropout_masks(
    strategy: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """And none in what is frozen: a module that drops where it should not shifts every draw."""
    model = tiny("bert", hidden_dropout_prob=0.3)
    plain, _ = turn(torch_loop, model, sentiment, strategy, tmp_path, num_train_epochs=2)
    hf, _ = turn(hf_trainer, model, sentiment, strategy, tmp_path, num_train_epochs=2)
    assert [step.loss for step in plain.steps] == [step.loss for step in hf.steps]


PROTECTED = {
    "l2sp": ("full", {"type": "l2sp", "alpha": 0.5}),
    "l2sp-gradual": ("gradual", {"type": "l2sp", "alpha": 0.5}),
    "l2sp-lora": ("lora", {"type": "l2sp", "alpha": 0.5}),
    "ewc": ("full", {"type": "ewc", "lambda": 0.5, "texts": 5}),
    "kl": ("full", {"type": "kl", "weight": 2.0, "every": 2, "texts": 3}),
    "kl-prefix": ("prefix", {"type": "kl", "weight": 2.0, "texts": 3}),
    "lp_ft": ("full", {"type": "lp_ft", "share": 0.4}),
    "both": ("full", [{"type": "l2sp", "alpha": 0.5}, {"type": "lp_ft", "share": 0.4}]),
}
"""Protections that change what training does, and a strategy each."""


def protected(name: str, tiny: Any, causal: Any, sentiment: str, instructions: str) -> Any:
    """(model, data, strategy, further parts of the config) for one of `PROTECTED`."""
    strategy, protection = PROTECTED[name]
    if name.startswith("kl"):
        task = {"type": "generation", "max_length": 48}
        return causal("llama"), instructions, strategy, {"task": task, "protection": protection}
    still = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return still, sentiment, strategy, {"protection": protection}


@pytest.mark.parametrize("name", quick(("l2sp-lora", "ewc", "kl", "both"), PROTECTED))
def test_the_engines_agree_with_every_protection(
    name: str, tiny: Any, causal: Any, sentiment: str, instructions: str, tmp_path: Path
) -> None:
    model, data, strategy, parts = protected(name, tiny, causal, sentiment, instructions)
    training: dict[str, Any] = {
        "max_steps": 6,
        "num_train_epochs": "auto",
        "eval_strategy": "no",
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
    }
    plain, weights = turn(torch_loop, model, data, strategy, tmp_path, **parts, **training)
    hf, hf_weights = turn(hf_trainer, model, data, strategy, tmp_path, **parts, **training)
    for ours, theirs in zip(plain.steps, hf.steps, strict=True):
        assert theirs.loss == pytest.approx(ours.loss, abs=1e-6)
        assert theirs.penalty == pytest.approx(ours.penalty, rel=1e-5)
        assert theirs.gradient_norm == pytest.approx(ours.gradient_norm, rel=1e-5)
    assert plain.changes == hf.changes
    require_same_weights(weights, hf_weights)
    assert name == "lp_ft" or plain.steps[-2].penalty > 0, "the penalty has grown"
    del parts["protection"]
    free, unbound = turn(torch_loop, model, data, strategy, tmp_path, **parts, **training)
    assert not any(step.penalty for step in free.steps)
    assert any(not torch.equal(unbound[parameter], weights[parameter]) for parameter in weights)


@pytest.mark.parametrize("name", [name for name in PROTECTED if name != "lp_ft"])
def test_a_penalty_is_added_once_however_often_gradients_are_accumulated(
    name: str, tiny: Any, causal: Any, sentiment: str, instructions: str
) -> None:
    """(S1) 8 x 1 is 1 x 8, away from the start; and nothing frozen gets a gradient (F3)."""
    model, data, strategy, parts = protected(name, tiny, causal, sentiment, instructions)
    found = []
    for size in (8, 1):
        training = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        job = job_for(model, data, STRATEGIES[strategy], **parts, training=training)
        torch.manual_seed(4)
        with torch.no_grad():
            for parameter in job.model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        plan = StepPlan.of(job.batches, job.training)
        *_, step = plan.epoch(0)  # the last one: LP-FT and gradual unfreezing have gone on
        step = replace(step, progress=Progress(0.9, 0.9), number=7)
        meter = Meter(plan.total)
        advance(job, step, meter)
        loss = accumulate(job, step, meter, torch.Tensor.backward).total
        assert meter.penalty > 0
        assert all(p.grad is None for p in job.model.parameters() if not p.requires_grad)
        gradients = {n: p.grad for n, p in job.model.named_parameters() if p.grad is not None}
        found.append((loss, meter.penalty, gradients))
    (loss, penalty, gradients), (other_loss, other_penalty, others) = found
    assert other_loss == pytest.approx(loss, rel=1e-5)
    assert other_penalty == pytest.approx(penalty, rel=1e-5)
    assert gradients.keys() == others.keys()
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(others[parameter], gradient, atol=1e-6, rtol=1e-4)
