"""Every optimizer that has a name: it learns, on both engines alike, and goes on bit for bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from resuming import saved_and_read
from support import fit, job_for
from welltuned.engines import hf_trainer, torch_loop
from welltuned.engines.config import OptimizerName
from welltuned.engines.events import Listener, Step
from welltuned.engines.snapshot import Snapshot

RATES = {"sgd": 0.05, "lion": 2e-3}
"""Learning rates where AdamW's would not do."""
QUICK = ("muon", "schedule_free_adamw")
"""The two of which most could go wrong; `make test-slow` tries the others."""
every_optimizer = pytest.mark.parametrize(
    "optim",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in get_args(OptimizerName)
    ],
)
GRADUAL = {"type": "gradual", "until": 0.6, "num_blocks": 2}
"""Blocks begin to train one after the other, each with the optimizer's first step for it."""


class Losses(Listener):
    """Notes the loss of every step, and every score."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.scores: list[Any] = []

    def stepped(self, step: Step) -> None:
        self.losses.append(step.loss)

    def evaluated(self, step: int, epoch: float, scores: Any, best: bool) -> None:
        self.scores.append(dict(scores))


@pytest.fixture
def job(tiny: Any, few: str, tmp_path: Path) -> Any:
    """`job(optim)`: a training without dropout, about to start."""
    model = tiny("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)

    def make(optim: str, **training: Any) -> Any:
        rate = RATES.get(optim, 3e-3)
        asked = {"num_train_epochs": 2, "learning_rate": rate, "optim": optim, **training}
        made = job_for(model, few, GRADUAL, Losses(), training=asked)
        return replace(made, folder=tmp_path)

    return make


def weights_of(job: Any) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in job.model.named_parameters()}


@every_optimizer
def test_it_learns_and_both_engines_agree(optim: str, job: Any) -> None:
    plain, hf = job(optim), job(optim)
    fit(torch_loop, plain)
    fit(hf_trainer, hf)
    losses = plain.listener.losses
    assert sum(losses[-3:]) < 0.97 * sum(losses[:3])
    assert hf.listener.losses == pytest.approx(losses, abs=1e-6)
    assert hf.listener.scores == plain.listener.scores
    others = weights_of(hf)
    for name, weight in weights_of(plain).items():
        torch.testing.assert_close(others[name], weight, atol=1e-6, rtol=1e-5)


@every_optimizer
def test_it_goes_on_bit_for_bit(optim: str, job: Any, tmp_path: Path) -> None:
    """In the midst of unfreezing; and before a validation, which changes nothing."""
    found: list[Snapshot] = []
    keys = {"save_steps": 1, "eval_strategy": "steps", "eval_steps": 2}
    whole = replace(
        job(optim, **keys),
        save=lambda snapshot: found.append(saved_and_read(copy.copy(snapshot), tmp_path)),
    )
    fit(torch_loop, whole)
    later = job(optim, **keys)
    half = len(whole.listener.losses) // 2 // 2 * 2
    fit(torch_loop, replace(later, start=next(s for s in found if s.step == half)))
    assert later.listener.losses == whole.listener.losses[half:]
    assert later.listener.scores == whole.listener.scores[half // 2 - 1 :]
    others = weights_of(later)
    assert all(torch.equal(others[name], weight) for name, weight in weights_of(whole).items())
