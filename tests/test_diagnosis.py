"""What curves say: each fault by a curve drawn by hand, and by runs made to have it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planted import PLANTED, plant
from welltuned.diagnosis import HEALTHY, describe, diagnose, diverged, gather, verdict

CONFIG = {
    "strategy": {"type": "full"},
    "training": {"learning_rate": 1e-3, "max_steps": None, "num_train_epochs": 3},
}
NAMES = ("negative", "positive")


def rows(losses: Any, rate: float = 1e-3) -> list[dict[str, Any]]:
    """Training losses as metrics.jsonl holds them."""
    return [
        {"step": 10 * (i + 1), "split": "train", "loss": loss, "learning_rate": rate}
        for i, loss in enumerate(losses)
    ]


def noisy(course: Any, spread: float = 0.01, seed: int = 0) -> list[float]:
    course = np.asarray(course, dtype=float)
    return list(course + spread * np.random.default_rng(seed).standard_normal(len(course)))


def scores(value: float, width: float = 0.02) -> dict[str, Any]:
    return {"macro_f1": value, "macro_f1_ci95": [value - width, value + width]}


def results(
    train: float = 0.95, validation: float = 0.94, confusion: Any = ((50, 2), (3, 45)), **more: Any
) -> dict[str, Any]:
    """results.json of a run whose classes are as often the one as the other."""
    per_class = {name: {} for name in NAMES}
    shown = {"per_class": per_class, "confusion": [list(row) for row in confusion]}
    return {
        "metric": "macro_f1",
        "train": scores(train),
        "validation": {**scores(validation), **shown},
        "baselines": {"majority": {"macro_f1": 0.333}},
        **more,
    }


LEARNED = noisy(0.05 + 0.65 * np.exp(-np.linspace(0, 8, 40)))


def faults(metrics: Any, found: Any, config: Any = CONFIG) -> list[str]:
    return [finding.fault for finding in diagnose(metrics, found, config, "c.yaml")]


def test_a_run_that_learned_and_holds_is_healthy() -> None:
    assert faults(rows(LEARNED), results()) == []
    assert verdict([]) == HEALTHY


# --- Diverged ------------------------------------------------------------------


def test_a_loss_that_is_no_number_diverged() -> None:
    assert faults(rows([0.7, 0.6, None]), results()) == ["diverged"]


def test_a_loss_that_rose_and_stayed_up_diverged() -> None:
    (finding,) = diagnose(
        rows([0.7, 0.7, 0.8, 3.0, 9.0, 6.0, 2.0, 1.5, 1.4, 1.3]), results(), CONFIG, "c.yaml"
    )
    assert finding.fault == "diverged" and "0.7" in finding.evidence
    assert finding.command == (
        "welltuned train c.yaml training.learning_rate=0.0001 output_dir=NEW_FOLDER"
    )


def test_a_peak_that_was_overcome_is_no_divergence() -> None:
    spike = [0.7, 0.7, 2.5, 3.0, 1.0, *[0.1] * 30]
    assert faults(rows(spike), results()) == []


def test_a_run_that_had_to_stop_has_its_finding_too() -> None:
    finding = diverged("the loss is not finite", CONFIG, "c.yaml")
    assert (finding.fault, finding.evidence) == ("diverged", "the loss is not finite")
    assert "learning_rate=0.0001" in finding.command


# --- Collapsed -----------------------------------------------------------------


def test_one_class_for_everything_is_a_collapse() -> None:
    flat = noisy([0.75] * 3 + [0.69] * 27)
    found = results(0.34, 0.33, confusion=((52, 0), (48, 0)))
    (finding,) = diagnose(rows(flat), found, CONFIG, "c.yaml")
    assert finding.fault == "collapsed"
    assert "100%" in finding.evidence and "'negative'" in finding.evidence


def test_a_collapse_onto_the_common_class_asks_for_class_weights() -> None:
    found = results(0.47, 0.47, confusion=((90, 0), (10, 0)))
    (finding,) = diagnose(rows(noisy([0.4] * 30)), found, CONFIG, "c.yaml")
    assert finding.fault == "collapsed" and "task.class_weights=auto" in finding.command


def test_common_classes_that_are_not_all_are_no_collapse() -> None:
    found = results(0.95, 0.94, confusion=((96, 1), (1, 2)))
    assert faults(rows(LEARNED), found) == []


def test_a_new_head_that_favours_a_class_has_not_collapsed_but_not_learned() -> None:
    found = results(0.34, 0.33, confusion=((50, 0), (50, 0)))
    assert faults(rows(noisy([0.71] * 30, 0.005)), found) == ["underfitted"]


# --- Overfitted ----------------------------------------------------------------


def test_a_gap_beyond_chance_is_overfitting() -> None:
    (finding,) = diagnose(rows(LEARNED), results(0.99, 0.75), CONFIG, "c.yaml")
    assert finding.fault == "overfitted"
    assert "0.990" in finding.evidence and "0.240 [0.212, 0.268]" in finding.evidence
    assert "strategy=lora" in finding.command


def test_a_gap_within_chance_is_none() -> None:
    found = results(0.99, 0.75)
    found["validation"]["macro_f1_ci95"] = [0.5, 1.0]
    assert faults(rows(LEARNED), found) == []


def test_a_small_gap_counts_when_the_validation_loss_has_risen() -> None:
    found = results(0.99, 0.92)
    assert faults(rows(LEARNED), found) == []
    looks = [
        {"step": step, "split": "validation", "macro_f1": 0.92, "log_loss": loss}
        for step, loss in ((100, 0.3), (200, 0.25), (300, 0.4))
    ]
    assert faults([*rows(LEARNED), *looks], found) == ["overfitted"]


def test_losses_are_compared_by_their_ratio() -> None:
    """A perplexity or loss has no unit; a gap of a tenth of it counts."""

    def found(train: float) -> dict[str, Any]:
        return {
            "metric": "loss",
            "train": {"loss": train, "loss_ci95": [train - 0.05, train + 0.05]},
            "validation": {"loss": 3.0, "loss_ci95": [2.95, 3.05]},
        }

    falling = rows(noisy(2 + 2 * np.exp(-np.linspace(0, 8, 40))))
    assert faults(falling, found(2.5)) == ["overfitted"]
    assert faults(falling, found(2.9)) == []


# --- Cut short, underfitted, plateaued -------------------------------------------


def test_a_loss_that_still_falls_was_cut_short() -> None:
    (finding,) = diagnose(
        rows(noisy(np.linspace(0.7, 0.3, 30))), results(0.8, 0.79), CONFIG, "c.yaml"
    )
    assert finding.fault == "cut short"
    assert "training.num_train_epochs=6" in finding.command


def test_steps_are_doubled_where_steps_were_asked_for() -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "max_steps": 50}}  # type: ignore[dict-item]
    (finding,) = diagnose(
        rows(noisy(np.linspace(0.7, 0.3, 30))), results(0.8, 0.79), config, "c.yaml"
    )
    assert "training.max_steps=100" in finding.command


def test_a_schedule_that_ends_at_zero_does_not_hide_that_learning_went_on() -> None:
    """The loss falls with the sum of the learning rates, and so flattens over steps."""
    way = np.linspace(0, 1, 40)
    over_steps = 0.7 - 0.4 * (1 - (1 - way) ** 2)
    metrics = rows(noisy(over_steps, 0.005))
    for row, done in zip(metrics, way, strict=True):
        row["learning_rate"] = 1e-3 * (1 - done) + 1e-9
    assert faults(metrics, results(0.8, 0.79)) == ["cut short"]


def test_a_validation_score_past_its_best_is_not_cut_short() -> None:
    looks = [
        {"step": step, "split": "validation", "macro_f1": score}
        for step, score in ((100, 0.79), (200, 0.75))
    ]
    assert faults([*rows(noisy(np.linspace(0.7, 0.3, 30))), *looks], results(0.8, 0.79)) == []


def test_what_is_not_learned_even_from_training_examples_is_underfitted() -> None:
    metrics = rows(noisy(np.linspace(0.7, 0.695, 30)))
    (finding,) = diagnose(metrics, results(0.4, 0.4), CONFIG, "c.yaml")
    assert finding.fault == "underfitted" and finding.command == "welltuned tune lr c.yaml"
    lora = {**CONFIG, "strategy": {"type": "lora"}}
    (finding,) = diagnose(metrics, results(0.4, 0.4), lora, "c.yaml")
    assert "strategy=full" in finding.command


def test_a_few_training_examples_prove_no_underfitting() -> None:
    found = results(0.4, 0.4)
    found["train"]["macro_f1_ci95"] = [0.2, 0.7]
    assert faults(rows([0.7, 0.69]), found) == []


def test_a_loss_that_stops_early_and_high_is_a_plateau() -> None:
    course = np.concatenate([np.linspace(0.7, 0.5, 6), np.full(34, 0.5)])
    (finding,) = diagnose(rows(noisy(course)), results(0.8, 0.79), CONFIG, "c.yaml")
    assert finding.fault == "plateaued" and "since step" in finding.evidence


def test_a_loss_that_rests_where_little_is_left_to_learn_is_no_plateau() -> None:
    course = np.concatenate([np.linspace(0.7, 0.1, 6), np.full(34, 0.1)])
    assert faults(rows(noisy(course)), results(0.97, 0.95)) == []


# --- Telling ---------------------------------------------------------------------


def test_evidence_is_signed_so_that_more_is_better() -> None:
    found = {"metric": "rmse", "train": {"rmse": 2.0, "rmse_ci95": [1.5, 2.5]}}
    evidence = gather([{"step": 1, "split": "validation", "rmse": 3.0}], found)
    assert evidence.train is not None
    assert (evidence.train.value, evidence.train.low, evidence.train.high) == (-2.0, -2.5, -1.5)
    assert list(evidence.validation_scores) == [-3.0]


def test_a_diagnosis_reads_as_lines() -> None:
    assert describe({"verdict": HEALTHY, "findings": []}) == ["healthy"]
    found = diagnose(rows(LEARNED), results(0.99, 0.75), CONFIG, "c.yaml")
    lines = describe({"verdict": verdict(found), "findings": [each.as_dict() for each in found]})
    assert lines[0].startswith("overfitted: macro_f1 is 0.990")
    assert lines[1].startswith("try fewer weights that train: welltuned train c.yaml")


# --- Planted runs ------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_run_is_seen_for_what_it_is(kind: str, tiny: Any, tmp_path: Path) -> None:
    run = plant(kind, 0, tiny("bert"), tmp_path)
    assert run.status["diagnosis"] == kind
    if run.results:
        assert run.results["diagnosis"]["verdict"] == kind


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLANTED)
def test_of_ten_planted_runs_nine_are_seen_and_no_healthy_one_is_accused(
    kind: str, tiny: Any, tmp_path: Path
) -> None:
    seen = [
        plant(kind, seed, tiny("bert"), tmp_path / str(seed)).status["diagnosis"]
        for seed in range(1, 11)
    ]
    assert seen.count(kind) >= (10 if kind == HEALTHY else 9), seen
