"""Metrics of tagged sentences, against seqeval and by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from seqeval.metrics import accuracy_score, f1_score, precision_score, recall_score

from tagged import TYPED, draw
from welltuned.metrics import EntityPredictions, TagPredictions, score


def test_scores_are_seqevals() -> None:
    true, predicted = draw(TYPED, 200), draw(TYPED, 200)
    predicted = [
        [a if i % 3 else b for i, (a, b) in enumerate(zip(row, (other * 10), strict=False))]
        for row, other in zip(true, predicted, strict=True)
    ]
    scores = score(EntityPredictions(true, predicted, ()), intervals=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert scores["entity_f1"] == pytest.approx(f1_score(true, predicted))
        assert scores["entity_precision"] == pytest.approx(precision_score(true, predicted))
        assert scores["entity_recall"] == pytest.approx(recall_score(true, predicted))
        assert scores["accuracy"] == pytest.approx(accuracy_score(true, predicted))
        by_type = f1_score(true, predicted, average=None)
    assert [row["f1"] for row in scores["per_type"].values()] == pytest.approx(list(by_type))
    assert list(scores["per_type"]) == ["A-B", "LOC", "PER"]


def test_a_worked_example_comes_out_as_by_hand() -> None:
    true = [["B-PER", "I-PER", "O"], ["B-LOC", "O"], ["O", "O"]]
    predicted: list[list[str | None]] = [["B-PER", "I-PER", "O"], ["B-PER", "O"], ["O", None]]
    scores = score(EntityPredictions(true, predicted, ()), intervals=False)
    assert scores["entity_precision"] == scores["entity_recall"] == scores["entity_f1"] == 0.5
    assert scores["accuracy"] == 5 / 7
    assert scores["per_type"]["PER"] == pytest.approx(
        {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1}
    )
    assert scores["per_type"]["LOC"] == {"precision": 0, "recall": 0, "f1": 0, "support": 1}


def test_without_any_entity_the_score_is_zero() -> None:
    scores = score(EntityPredictions([["O", "O"]], [["O", "O"]], ()), intervals=True)
    assert scores["entity_f1"] == 0.0 and scores["accuracy"] == 1.0
    assert scores["entity_f1_ci95"] == pytest.approx([0.0, 0.975]) and scores["per_type"] == {}


def test_intervals_resample_sentences() -> None:
    """Against resampling the sentences themselves, with another generator."""
    true = draw(TYPED, 60)
    others = true[1:] + true[:1]
    predicted = [
        a if i % 2 else (b * 10)[: len(a)]
        for i, (a, b) in enumerate(zip(true, others, strict=True))
    ]
    scores = score(EntityPredictions(true, predicted, ()), intervals=True)
    rng = np.random.default_rng(7)
    draws = []
    for _ in range(600):
        rows = rng.integers(0, 60, 60)
        some = score(
            EntityPredictions([true[i] for i in rows], [predicted[i] for i in rows], ()), False
        )
        draws.append([some["entity_f1"], some["accuracy"]])
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    assert scores["entity_f1_ci95"] == pytest.approx([low[0], high[0]], abs=0.03)
    assert scores["accuracy_ci95"] == pytest.approx([low[1], high[1]], abs=0.02)


def test_other_tags_are_scored_word_by_word() -> None:
    true = [["N", "V", "N"], ["N"]]
    predicted: list[list[str | None]] = [["N", "N", None], ["N"]]
    scores = score(TagPredictions(true, predicted, ("N", "V")), intervals=True)
    assert scores["accuracy"] == 0.5
    assert scores["per_class"]["N"] == pytest.approx(
        {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3}
    )
    assert scores["macro_f1"] == pytest.approx(1 / 3)
    assert scores["macro_f1_ci95"][0] <= scores["macro_f1"] <= scores["macro_f1_ci95"][1]


def test_a_word_that_was_not_read_is_wrong() -> None:
    assert score(TagPredictions([["O", "O"]], [["O", None]], ("O",)))["accuracy"] == 0.5
