"""Temperature scaling finds a planted temperature, and leaves alone what is calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.metrics.classification import calibration_error
from welltuned.tasks.classification.probabilities import SIGMOID, SOFTMAX, Link
from welltuned.tasks.classification.temperature import fit_temperature


def planted(
    link: Link, number: int, temperature: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """(logits, truths) of a model that is sure by so many times too much."""
    random = np.random.default_rng(seed)
    logits_NK = random.normal(scale=2, size=(number, 3))
    chances_NK = link.probabilities(logits_NK)
    if link is SIGMOID:
        return temperature * logits_NK, random.random((number, 3)) < chances_NK
    drawn_N = (random.random((number, 1)) > chances_NK.cumsum(axis=1)).sum(axis=1).clip(max=2)
    return temperature * logits_NK, np.eye(3)[drawn_N]


@pytest.mark.parametrize("link", [SOFTMAX, SIGMOID], ids=["classes", "labels"])
@pytest.mark.parametrize("temperature", [0.3, 2.5])
def test_a_planted_temperature_is_found(link: Link, temperature: float) -> None:
    logits_NK, true_NK = planted(link, 4000, temperature, seed=0)
    assert fit_temperature(logits_NK, true_NK, link) == pytest.approx(temperature, rel=0.08)


def test_new_texts_are_calibrated_by_it() -> None:
    fitted = fit_temperature(*planted(SOFTMAX, 1000, 3.0, seed=1), SOFTMAX)
    logits_NK, true_NK = planted(SOFTMAX, 2000, 3.0, seed=2)
    true_N = true_NK.argmax(axis=1)
    before = calibration_error(true_N, SOFTMAX.probabilities(logits_NK))
    after = calibration_error(true_N, SOFTMAX.probabilities(logits_NK / fitted))
    assert after < 0.04 < 0.1 < before


def test_what_is_calibrated_stays_as_it_is_in_most_of_small_splits() -> None:
    fits = [fit_temperature(*planted(SOFTMAX, 100, 1.0, seed), SOFTMAX) for seed in range(60)]
    assert sum(one == 1.0 for one in fits) >= 52


def test_a_split_without_a_mistake_makes_no_model_infinitely_sure() -> None:
    """50 answers, all right, say as much as: 1 in 102 of each other class."""
    logits_NK = np.tile([0.5, -0.5], (50, 1))
    temperature = fit_temperature(logits_NK, np.tile([1.0, 0.0], (50, 1)), SOFTMAX)
    chances_NK = SOFTMAX.probabilities(logits_NK / temperature)
    assert chances_NK[:, 0] == pytest.approx(1 - 1 / 102, abs=1e-6)
