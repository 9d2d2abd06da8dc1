"""Runs that learn by contrast: the encoder by steps, then its head, however a run goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import welltuned as wt
from resuming import Signalling, differing, left_by, losses
from support import STRATEGIES, config_values, make_rows, session_for, short_tune, write_rows
from welltuned.config import run_config_from
from welltuned.engines import torch_loop
from welltuned.errors import Stopped
from welltuned.training import train
from welltuned.training.contrast_fit import HeadSolver, fit_by_contrast
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.forecast.step_counts import StepCounts
from welltuned.training.train import resume_training, run_training

SMALL = {"type": "contrastive", "group_size": 8, "rounds": 2}


def trained_session(tiny: Any, data: str, **training: Any) -> tuple[Any, Any]:
    """(session, outcome) of a run's steps, without its folder."""
    session = session_for(tiny("bert"), data, SMALL, training={"num_train_epochs": 1, **training})
    kept: list[int] = []
    job = session.job(keep=lambda step, scores: kept.append(step))
    return session, fit_by_contrast(session, job, torch_loop.fit_with_loop)


def test_texts_of_one_label_come_together_and_the_head_is_at_its_optimum(
    tiny: Callable[..., str], few: str
) -> None:
    before = session_for(tiny("bert"), few, SMALL)
    session, outcome = trained_session(tiny, few)
    own = session.prepared.learned_by.objective

    def contrast_loss(model: Any) -> float:
        rows = list(range(6))
        groups = session.prepared.learned
        batch = session.prepared.learned_by.codec.collate(groups, rows, session.prepared.pad_id)
        there = {name: torch.from_numpy(array) for name, array in batch.items()}
        with torch.no_grad():
            return float(own.loss(model.eval(), there)) / own.count(there)

    assert contrast_loss(session.model) < contrast_loss(before.model)
    assert outcome.steps == len(session.prepared.learned)
    assert outcome.head is not None
    assert outcome.head["chosen_by"] == "macro_f1"
    assert session.score("train", "fp32")["accuracy"] > 0.9
    again = HeadSolver(session, session.job())
    weight = session.model.classifier.weight.detach().clone()
    again.solve()
    assert torch.equal(session.model.classifier.weight, weight), "it follows from what is below it"


def test_without_validation_the_head_is_solved_for_at_the_end(
    tiny: Callable[..., str], few: str
) -> None:
    _, outcome = trained_session(tiny, few, eval_strategy="no", load_best_model_at_end=False)
    assert outcome.head is not None
    assert outcome.head["chosen_by"] is None


@pytest.mark.parametrize(
    "inner",
    ["lora", *(pytest.param(name, marks=pytest.mark.slow) for name in ("partial", "houlsby"))],
)
def test_each_strategy_inside_trains_is_proved_and_answers_again(
    tiny: Callable[..., str], few: str, tmp_path: Path, inner: str
) -> None:
    strategy = {**SMALL, "trains": STRATEGIES[inner]}
    run = short_tune(tiny("bert"), few, strategy, tmp_path / "run")
    texts = [row["text"] for row in make_rows(60)]
    said = [answer["prediction"] for answer in wt.load(run).predict(texts)]
    right = np.mean([one == row["label"] for one, row in zip(said, make_rows(60), strict=True)])
    assert right > 0.8
    assert run.results["contrast"]["group_size"] == 8
    assert run.results["contrast"]["texts"] == 48


def test_both_engines_lose_the_same(tiny: Callable[..., str], few: str, tmp_path: Path) -> None:
    ours, theirs = (
        short_tune(tiny("bert"), few, SMALL, tmp_path / engine, engine=engine)
        for engine in ("torch", "hf")
    )
    assert losses(ours) == losses(theirs)
    assert ours.results["test"] == theirs.results["test"]


def test_one_that_is_stopped_goes_on_bit_for_bit(
    tiny: Callable[..., str], few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "write_run_report", lambda run: None)

    def asked(name: str) -> Any:
        parts = {"task": {"pooling": "mean"}, "training": {"num_train_epochs": 2}}
        return run_config_from(config_values(tiny("bert"), few, SMALL, tmp_path / name, **parts))

    whole = left_by(run_training(asked("whole")))
    with pytest.raises(Stopped):
        run_training(asked("other"), Signalling(5))
    again = left_by(resume_training(tmp_path / "other"))
    assert not differing(whole, again)


def test_several_labels_are_contrasted_by_what_they_share(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    rows = [
        {"text": row["text"], "labels": [row["label"], *(["third"] if i % 3 else [])]}
        for i, row in enumerate(make_rows(60))
    ]
    data = write_rows(tmp_path / "several.jsonl", rows)
    run = short_tune(tiny("bert"), data, {**SMALL, "loss": "cosine"}, tmp_path / "run")
    assert run.results["training"]["steps"] == run.results["contrast"]["groups"]
    assert set(wt.load(run).predict([rows[0]["text"]])[0]["probabilities"]) == {
        "negative", "positive", "third",
    }  # fmt: skip


def test_a_forecast_counts_and_rehearses_what_is_drawn(tiny: Callable[..., str], few: str) -> None:
    session = session_for(tiny("bert"), few, SMALL)
    prepared = session.prepared
    counts = StepCounts.of(prepared, session.training)
    assert counts.read_tokens > 1.9 * counts.tokens
    assert counts.plan.steps_per_epoch[0] == len(prepared.learned)
    rehearsal = Rehearsal.of(prepared, session.config.strategy, session.device)
    one, two = (rehearsal.step([np.arange(groups)]).flops for groups in (1, 2))
    assert 1.5 * one < two < 3 * one
