"""What is told of folds: in a report and on a terminal."""

from __future__ import annotations

from typing import Any

from welltuned.reports.folds import fold_lines, folds_content


def results(final: str | None = "final") -> Any:
    return {
        "test": {"accuracy": 0.75, "macro_f1": 0.7, "accuracy_ci95": [0.6, 0.9]},
        "cross_validation": {
            "folds": [
                {"run": "folds/0", "examples": 20, "scores": {"accuracy": 0.7}},
                {"run": "folds/1", "examples": 19, "scores": {"accuracy": 0.8}},
            ],
            "examples": 39,
            "training_deviation": {"accuracy": 0.0213},
            "train_seconds": 3.0,
            "final": final,
        },
    }


def test_a_row_a_fold_with_the_scores_that_are_shown() -> None:
    content = folds_content(results(), ["accuracy", "odd"])
    assert content is not None
    assert [row["scores"] for row in content["rows"]] == [[0.7, None], [0.8, None]]
    assert [row["report"] for row in content["rows"]] == [
        "folds/0/report.html",
        "folds/1/report.html",
    ]
    assert content["deviations"] == [0.0213, None]
    assert content["report"] == "final/report.html"


def test_lines_name_each_folds_score_and_what_the_model_is() -> None:
    folds, model = fold_lines(results())
    assert folds == "2 folds     accuracy 0.700 0.800 · from one training set to another ±0.021"
    assert model == "model       trained on all folds (39 examples), not tested itself"
    assert len(fold_lines(results(final=None))) == 1


def test_a_run_of_one_split_has_none() -> None:
    plain: Any = {"test": {"accuracy": 0.5}}
    assert folds_content(plain, ["accuracy"]) is None and fold_lines(plain) == []
