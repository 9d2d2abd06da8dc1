"""A tuned model as a plain Hugging Face folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

import welltuned as wt
from support import logits, make_rows, short_tune
from welltuned.deployment.export.run_export import export_run
from welltuned.runs import Run

TEXTS = [row["text"] for row in make_rows(6, seed=5)]


def answers(folder: Path, **options: Any) -> torch.Tensor:
    model = AutoModelForSequenceClassification.from_pretrained(folder, **options)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return logits(model, dict(tokenizer(TEXTS, padding=True, return_tensors="pt")))


def trained(run: Run) -> torch.Tensor:
    predictor = wt.load(run)
    return logits(
        predictor.model, dict(predictor.tokenizer(TEXTS, padding=True, return_tensors="pt"))
    )


def test_an_adapter_is_merged_into_a_model_without_peft(adapted: Run, tmp_path: Path) -> None:
    target = export_run(adapted.folder, "plain", tmp_path / "plain")
    assert target == tmp_path / "plain"
    assert not list(target.glob("adapter*"))
    torch.testing.assert_close(answers(target), trained(adapted), atol=1e-5, rtol=0)


def test_a_pooled_head_travels_with_its_modelling_file(finished: Run, tmp_path: Path) -> None:
    target = export_run(str(finished.folder), "plain", str(tmp_path / "plain"))
    assert (target / "modeling_pooled.py").exists()
    torch.testing.assert_close(
        answers(target, trust_remote_code=True), trained(finished), atol=1e-6, rtol=0
    )


def test_the_familys_own_head_needs_no_modelling_file(adapted: Run, tmp_path: Path) -> None:
    assert not (
        export_run(adapted.folder, "plain", tmp_path / "plain") / "modeling_pooled.py"
    ).exists()


def test_the_labels_keep_their_names(adapted: Run, tmp_path: Path) -> None:
    target = export_run(adapted.folder, "plain", tmp_path / "plain")
    config = AutoModelForSequenceClassification.from_pretrained(target).config
    assert config.id2label == {0: "negative", 1: "positive"}


def test_a_model_folder_alone_is_enough(adapted: Run, tmp_path: Path) -> None:
    """Its manifest holds all options that merging needs."""
    alone = Path(shutil.copytree(adapted.model, tmp_path / "alone"))
    target = export_run(alone, "plain", tmp_path / "plain")
    torch.testing.assert_close(answers(target), trained(adapted), atol=1e-5, rtol=0)


def test_a_pipeline_of_transformers_cuts_where_the_run_did(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """The base takes 64 tokens, the run took 12."""
    from transformers import pipeline

    task = {"pooling": "model", "max_length": 12}
    run = short_tune(tiny("bert"), sentiment, {"type": "full"}, tmp_path / "run", task=task)
    target = export_run(run.folder, "plain", tmp_path / "plain")
    assert AutoTokenizer.from_pretrained(target).model_max_length == 12
    texts = ["good " * 11 + "bad " * 30, "bad film", "the film was " * 9 + "superb"]
    rows = wt.load(run).predict(texts)
    assert [row.get("cut") for row in rows] == [True, None, True]
    ask = pipeline("text-classification", model=str(target), top_k=None, truncation=True)
    answers: Any = ask(texts)
    for row, found in zip(rows, answers, strict=True):
        scores = {one["label"]: one["score"] for one in found}
        assert scores == pytest.approx(row["probabilities"], abs=1e-5)
