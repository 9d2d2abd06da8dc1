"""What curves say: each fault by a curve drawn by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from welltuned.runs.results_schema import KnownSoFar
from welltuned.training.diagnosis import HEALTHY, Finding, diagnose, finding_lines, verdict
from welltuned.training.diagnosis.evidence import gather

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
    per_class: dict[str, dict[str, float]] = {name: {} for name in NAMES}
    shown = {"per_class": per_class, "confusion": [list(row) for row in confusion]}
    return {
        "metric": "macro_f1",
        "train": scores(train),
        "validation": {**scores(validation), **shown},
        "baselines": {"majority": {"macro_f1": 0.333}},
        **more,
    }


LEARNED = noisy(0.05 + 0.65 * np.exp(-np.linspace(0, 8, 40)))


def look(metrics: Any, found: Any, config: Any = CONFIG) -> Finding:
    finding = diagnose(metrics, found, config, "c.yaml", "runs/c-2")
    assert finding is not None
    return finding


def fault(metrics: Any, found: Any, config: Any = CONFIG) -> str:
    return verdict(diagnose(metrics, found, config, "c.yaml", "runs/c-2"))["verdict"]


def test_a_run_that_learned_and_holds_is_healthy() -> None:
    assert fault(rows(LEARNED), results()) == HEALTHY


# --- Diverged ------------------------------------------------------------------


def test_a_loss_that_is_no_number_diverged() -> None:
    assert fault(rows([0.7, 0.6, None]), results()) == "diverged"


def test_a_loss_that_rose_and_stayed_up_diverged() -> None:
    finding = look(rows([0.7, 0.7, 0.8, 3.0, 9.0, 6.0, 2.0, 1.5, 1.4, 1.3]), results())
    assert finding.fault == "diverged" and finding.evidence["values"]["start"] == "0.7"
    assert finding.command == (
        "welltuned train c.yaml training.learning_rate=0.0001 output_dir=runs/c-2"
    )


def test_a_peak_that_was_overcome_is_no_divergence() -> None:
    spike = [0.7, 0.7, 2.5, 3.0, 1.0, *[0.1] * 30]
    assert fault(rows(spike), results()) == HEALTHY


# --- Collapsed -----------------------------------------------------------------


def test_one_class_for_everything_is_a_collapse() -> None:
    flat = noisy([0.75] * 3 + [0.69] * 27)
    found = results(0.34, 0.33, confusion=((52, 0), (48, 0)))
    finding = look(rows(flat), found)
    assert finding.fault == "collapsed"
    assert finding.evidence["code"] == "diagnosis.collapsed"
    assert finding.evidence["values"]["predicted"] == "100%"
    assert finding.evidence["values"]["label"] == "negative"


def test_a_collapse_onto_the_common_class_asks_for_class_weights() -> None:
    found = results(0.47, 0.47, confusion=((90, 0), (10, 0)))
    finding = look(rows(noisy([0.4] * 30)), found)
    assert finding.fault == "collapsed" and "task.class_weights=auto" in finding.command


def test_common_classes_that_are_not_all_are_no_collapse() -> None:
    found = results(0.95, 0.94, confusion=((96, 1), (1, 2)))
    assert fault(rows(LEARNED), found) == HEALTHY


def test_a_new_head_that_favours_a_class_has_not_collapsed_but_not_learned() -> None:
    found = results(0.34, 0.33, confusion=((50, 0), (50, 0)))
    assert fault(rows(noisy([0.71] * 30, 0.005)), found) == "underfitted"


# --- Overfitted ----------------------------------------------------------------


def test_a_gap_beyond_chance_is_overfitting() -> None:
    finding = look(rows(LEARNED), results(0.99, 0.75))
    assert finding.fault == "overfitted"
    assert finding.evidence["values"]["train"] == "0.990"
    assert finding.evidence["values"]["gap"] == "0.240 [0.212, 0.268]"
    assert "strategy=lora" in finding.command


def test_a_gap_within_chance_is_none() -> None:
    found = results(0.99, 0.75)
    found["validation"]["macro_f1_ci95"] = [0.5, 1.0]
    assert fault(rows(LEARNED), found) == HEALTHY


def test_a_small_gap_counts_when_the_validation_loss_has_risen() -> None:
    found = results(0.99, 0.92)
    assert fault(rows(LEARNED), found) == HEALTHY
    looks = [
        {"step": step, "split": "validation", "macro_f1": 0.92, "log_loss": loss}
        for step, loss in ((100, 0.3), (200, 0.25), (300, 0.4))
    ]
    assert fault([*rows(LEARNED), *looks], found) == "overfitted"


def test_losses_are_compared_by_their_ratio() -> None:
    """A perplexity or loss has no unit; a gap of a tenth of it counts."""

    def found(train: float) -> dict[str, Any]:
        return {
            "metric": "loss",
            "train": {"loss": train, "loss_ci95": [train - 0.05, train + 0.05]},
            "validation": {"loss": 3.0, "loss_ci95": [2.95, 3.05]},
        }

    falling = rows(noisy(2 + 2 * np.exp(-np.linspace(0, 8, 40))))
    assert fault(falling, found(2.5)) == "overfitted"
    assert fault(falling, found(2.9)) == HEALTHY


# --- Cut short, underfitted, plateaued -------------------------------------------


def test_a_loss_that_still_falls_was_cut_short() -> None:
    finding = look(rows(noisy(np.linspace(0.7, 0.3, 30))), results(0.8, 0.79))
    assert finding.fault == "cut short"
    assert "training.num_train_epochs=6" in finding.command


def test_steps_are_doubled_where_steps_were_asked_for() -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "max_steps": 50}}  # type: ignore[dict-item]
    finding = look(rows(noisy(np.linspace(0.7, 0.3, 30))), results(0.8, 0.79), config)
    assert "training.max_steps=100" in finding.command


def test_a_schedule_that_ends_at_zero_does_not_hide_that_learning_went_on() -> None:
    """The loss falls with the sum of the learning rates, and so flattens over steps."""
    way = np.linspace(0, 1, 40)
    over_steps = 0.7 - 0.4 * (1 - (1 - way) ** 2)
    metrics = rows(noisy(over_steps, 0.005))
    for row, done in zip(metrics, way, strict=True):
        row["learning_rate"] = 1e-3 * (1 - done) + 1e-9
    assert fault(metrics, results(0.8, 0.79)) == "cut short"


def test_a_validation_score_past_its_best_is_not_cut_short() -> None:
    looks = [
        {"step": step, "split": "validation", "macro_f1": score}
        for step, score in ((100, 0.79), (200, 0.75))
    ]
    assert fault([*rows(noisy(np.linspace(0.7, 0.3, 30))), *looks], results(0.8, 0.79)) == HEALTHY


def test_what_is_not_learned_even_from_training_examples_is_underfitted() -> None:
    metrics = rows(noisy(np.linspace(0.7, 0.695, 30)))
    finding = look(metrics, results(0.4, 0.4))
    assert finding.fault == "underfitted" and "learning_rate=find" in finding.command
    lora = {**CONFIG, "strategy": {"type": "lora"}}
    finding = look(metrics, results(0.4, 0.4), lora)
    assert "strategy=full" in finding.command


def test_a_few_training_examples_prove_no_underfitting() -> None:
    found = results(0.4, 0.4)
    found["train"]["macro_f1_ci95"] = [0.2, 0.7]
    assert fault(rows([0.7, 0.69]), found) == HEALTHY


def test_a_loss_that_stops_early_and_high_is_a_plateau() -> None:
    course = np.concatenate([np.linspace(0.7, 0.5, 6), np.full(34, 0.5)])
    finding = look(rows(noisy(course)), results(0.8, 0.79))
    assert finding.fault == "plateaued" and finding.evidence["code"] == "diagnosis.not_falling"


def test_a_plateau_is_told_apart_from_having_learned_nothing() -> None:
    """Where the loss fell first and rests then, that says more than that the score is low."""
    course = np.concatenate([np.linspace(0.7, 0.6, 6), np.full(34, 0.6)])
    assert fault(rows(noisy(course)), results(0.4, 0.4)) == "plateaued"
    assert fault(rows(noisy(np.full(40, 0.695))), results(0.4, 0.4)) == "underfitted"


def test_a_long_run_that_learned_early_is_measured_from_its_beginning() -> None:
    """Its first twentieth is not the level before anything was learned."""
    course = np.concatenate([[0.7, 0.55], np.full(998, 0.4)])
    assert fault(rows(noisy(course)), results(0.8, 0.79)) == "plateaued"


def test_a_loss_that_rests_where_little_is_left_to_learn_is_no_plateau() -> None:
    course = np.concatenate([np.linspace(0.7, 0.1, 6), np.full(34, 0.1)])
    assert fault(rows(noisy(course)), results(0.97, 0.95)) == HEALTHY


# --- Endless ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "learned", "verdict"),
    [(None, False, "endless"), (None, True, HEALTHY), (7, False, HEALTHY)],
)
def test_answers_that_do_not_end_are_named_where_no_end_was_learned(
    tokens: int | None, learned: bool, verdict: str
) -> None:
    end = {"id": "a:1", "tokens": tokens, "max_new_tokens": 9, "end_was_learned": learned}
    assert fault(rows(LEARNED), results(answer_end=end)) == verdict


# --- Telling ---------------------------------------------------------------------


def test_evidence_is_signed_so_that_more_is_better() -> None:
    found: KnownSoFar = {"metric": "rmse", "train": {"rmse": 2.0, "rmse_ci95": [1.5, 2.5]}}
    evidence = gather([{"step": 1, "split": "validation", "rmse": 3.0}], found)
    assert evidence.train is not None
    assert (evidence.train.value, evidence.train.low, evidence.train.high) == (-2.0, -2.5, -1.5)
    assert list(evidence.validation_scores) == [-3.0]


def test_a_diagnosis_reads_as_lines() -> None:
    assert finding_lines(verdict(None)) == ["healthy"]
    lines = finding_lines(verdict(look(rows(LEARNED), results(0.99, 0.75))))
    assert lines[0].startswith("overfitted: macro_f1 is 0.990")
    assert lines[1].startswith("try fewer trainable weights: welltuned train c.yaml")


# --- While training --------------------------------------------------------------


def so_far(metrics: Any, scores: Any) -> str:
    finding = diagnose(
        metrics, {"metric": "macro_f1", "validation": scores}, CONFIG, "c.yaml", "n", over=False
    )
    return verdict(finding)["verdict"]


def looks(losses: list[float]) -> list[dict[str, Any]]:
    return [
        {"step": 100 * (i + 1), "split": "validation", "macro_f1": 0.9, "log_loss": loss}
        for i, loss in enumerate(losses)
    ]


def test_a_validation_loss_that_rises_while_training_goes_on_is_told() -> None:
    assert so_far([*rows(LEARNED), *looks([0.4, 0.3, 0.35, 0.4])], {}) == "overfitted"


def test_one_bad_look_is_not() -> None:
    assert so_far([*rows(LEARNED), *looks([0.4, 0.3, 0.6])], {}) == HEALTHY


def test_what_only_the_end_can_tell_is_not_told_before() -> None:
    """A loss that still falls is what training is for; flat ones may yet fall."""
    assert so_far(rows(noisy(np.linspace(0.7, 0.3, 30))), {}) == HEALTHY
    assert so_far(rows(noisy(np.full(30, 0.7))), {}) == HEALTHY
