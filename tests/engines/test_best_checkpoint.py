"""Choosing by the validation split: when to look, which weights are best, when to stop."""

from __future__ import annotations

import math
from typing import Any

import pytest

from faults import refused
from welltuned.engines.best_checkpoint import Validator
from welltuned.engines.config import TrainingConfig


class Play:
    """A validator fed with given scores, which notes what it keeps."""

    def __init__(self, values: list[Any], metric: str = "f1", **training: Any) -> None:
        self.kept: list[int] = []
        scores = iter({metric: value, "other": 0.5} for value in values)
        self.validator = Validator(
            TrainingConfig(**training),
            metric,
            lambda: next(scores),
            lambda step, _: self.kept.append(step),
        )
        self.better = []
        self.stops = []
        for step in range(1, len(values) + 1):
            self.better.append(self.validator.look(step)[1])
            self.stops.append(self.validator.should_stop)


def due(total: int, steps_per_epoch: int, **training: Any) -> list[int]:
    """The steps after which the validation split is scored."""
    look = Validator(TrainingConfig(**training), "f1", dict, lambda step, scores: None)
    return [s for s in range(1, total + 1) if look.is_due(s, total, s % steps_per_epoch == 0)]


def test_by_default_every_epoch_is_scored() -> None:
    assert due(12, 4) == [4, 8, 12]


def test_the_last_step_is_scored_in_the_middle_of_an_epoch_too() -> None:
    assert due(10, 4) == [4, 8, 10]


def test_steps_are_scored_at_their_distance_and_at_the_end() -> None:
    assert due(10, 4, eval_strategy="steps", eval_steps=3) == [3, 6, 9, 10]


def test_no_evaluation_means_none() -> None:
    assert due(10, 4, eval_strategy="no") == []


def test_the_best_weights_are_kept_whenever_they_are_found() -> None:
    play = Play([0.2, 0.5, 0.4, 0.6])
    assert play.better == [True, True, False, True]
    assert play.kept == [1, 2, 4]
    assert play.validator.best_step == 4


def test_of_equal_scores_the_earlier_one_stays() -> None:
    play = Play([0.5, 0.5])
    assert play.kept == [1]
    assert play.validator.best_step == 1


@pytest.mark.parametrize("metric", ["rmse", "mae", "log_loss", "calibration_error"])
def test_errors_are_better_when_lower(metric: str) -> None:
    assert Play([0.5, 0.7, 0.3], metric).kept == [1, 3]


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "micro_f1", "r2", "spearman"])
def test_scores_are_better_when_higher(metric: str) -> None:
    assert Play([0.5, 0.7, 0.3], metric).kept == [1, 2]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["f1", "rmse"])
def test_a_score_that_is_not_finite_never_becomes_the_best(value: float, metric: str) -> None:
    play = Play([value, 0.1, value], metric)
    assert play.kept == [2]
    assert play.better == [False, True, False]


def test_a_negative_score_can_be_the_best() -> None:
    assert Play([-0.5, -0.2], "r2").kept == [1, 2]


def test_weights_are_not_kept_unless_asked_but_the_best_step_is_known() -> None:
    play = Play([0.2, 0.5, 0.4], load_best_model_at_end=False)
    assert play.kept == []
    assert play.validator.best_step == 2


def test_patience_ends_after_so_many_looks_without_a_better_score() -> None:
    play = Play([0.5, 0.4, 0.6, 0.6, 0.5], early_stopping_patience=2)
    assert play.stops == [False, False, False, False, True]


def test_without_patience_nothing_stops() -> None:
    assert not any(Play([0.5, 0.4, 0.3, 0.2, math.nan]).stops)


def test_scores_are_handed_on_whole() -> None:
    given = {"f1": 0.5, "confusion": [[1]]}
    validator = Validator(TrainingConfig(), "f1", lambda: given, lambda step, scores: None)
    assert validator.look(1) == (given, True)


def test_a_score_that_does_not_exist_is_refused_with_those_that_do() -> None:
    given = {"accuracy": 0.5, "macro_f1": 0.4, "confusion": [[1]]}
    validator = Validator(TrainingConfig(), "acuracy", lambda: given, lambda step, scores: None)
    with refused("training.metric_unknown", metric="acuracy", known="accuracy, macro_f1"):
        validator.look(1)
