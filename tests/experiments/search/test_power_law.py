"""How errors fall with the number of examples, and how far to trust it."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.experiments.search.power_law import bootstrap, fit_power_law

SIZES = np.array([125.0, 250, 500, 1000, 2000])
AHEAD = np.array([4000.0, 10000.0])


def law(a: float, b: float, c: float, sizes: np.ndarray = SIZES) -> np.ndarray:
    return np.asarray(a + b * sizes**-c)


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 2.0, 0.6), (0.0, 1.2, 0.35), (0.05, 1.0, 0.4)])
def test_a_law_without_noise_is_found_again(a: float, b: float, c: float) -> None:
    found = fit_power_law(SIZES, law(a, b, c)[None, :], np.ones(5))
    assert found.exponent[0] == pytest.approx(c, rel=0.1)
    assert found.floor[0] == pytest.approx(a, abs=0.02)
    assert found.errors(AHEAD)[0] == pytest.approx(law(a, b, c, AHEAD), abs=2e-3)


def test_every_row_is_fitted_by_itself() -> None:
    rows = np.stack([law(0.1, 2.0, 0.6), law(0.0, 1.2, 0.35)])
    both, one = fit_power_law(SIZES, rows, np.ones(5)), fit_power_law(SIZES, rows[1:], np.ones(5))
    assert both.errors(AHEAD)[1] == pytest.approx(one.errors(AHEAD)[0])


def test_neither_floor_nor_scale_is_negative() -> None:
    """Rising errors have no falling law: the best is a flat line through their mean."""
    rising = np.array([0.1, 0.12, 0.14, 0.16, 0.18])
    steep = np.array([0.5, 0.38, 0.26, 0.14, 0.02])  # would need a floor below zero
    found = fit_power_law(SIZES, np.stack([rising, steep]), np.ones(5))
    assert (found.floor >= 0).all() and (found.scale >= 0).all()
    assert found.errors(AHEAD)[0] == pytest.approx([0.14, 0.14])
    assert found.floor[1] == 0 and found.scale[1] > 0


def test_the_border_is_the_best_on_the_border() -> None:
    """No other law with a ≥ 0 and b ≥ 0 and that exponent fits better."""
    errors = np.array([0.31, 0.22, 0.17, 0.11, 0.02])
    found = fit_power_law(SIZES, errors[None, :], np.ones(5))
    loss = ((errors - found.errors(SIZES)[0]) ** 2).sum()
    for a in np.linspace(0, 0.1, 11):
        for factor in np.linspace(0.7, 1.3, 31):
            other = a + factor * found.scale[0] * SIZES ** -found.exponent[0]
            assert ((errors - other) ** 2).sum() >= loss - 1e-9


def test_weights_say_whom_to_believe() -> None:
    errors = law(0.1, 2.0, 0.6)
    errors[0] += 0.2
    trusting = fit_power_law(SIZES, errors[None, :], np.ones(5))
    wary = fit_power_law(SIZES, errors[None, :], np.array([1e-6, 1, 1, 1, 1]))
    truth = law(0.1, 2.0, 0.6, AHEAD)
    assert abs(wary.errors(AHEAD)[0] - truth).max() < abs(trusting.errors(AHEAD)[0] - truth).max()


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.1, 2.0, 0.6), (0.02, 0.8, 0.25), (0.2, 0.0001, 0.5), (0.0, 1.2, 0.35)]
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(a: float, b: float, c: float) -> None:
    """40 imagined experiments of three seeds at each size, noisier where data is scarce."""
    random = np.random.default_rng(5)
    truth, held = law(a, b, c, AHEAD), np.zeros(2)
    for experiment in range(40):
        mean = law(a, b, c)
        spread = 0.4 * np.sqrt(mean * (1 - mean) / SIZES) + 0.003
        errors = mean[:, None] + random.standard_normal((5, 3)) * spread[:, None]
        draws = bootstrap(SIZES, errors, seed=experiment).draws
        low, high = np.quantile(draws.errors(AHEAD), [0.025, 0.975], axis=0)
        held += (low <= truth) & (truth <= high)
        assert (high - low < 0.15).all(), "and they are narrow enough to be of use"
    assert (held >= 34).all(), held


def test_the_bootstrap_is_a_pure_function() -> None:
    errors = law(0.1, 2.0, 0.6)[:, None] + np.array([[0.0, 0.01, -0.01]])
    first, again, other = (bootstrap(SIZES, errors, seed=seed).draws for seed in (0, 0, 1))
    assert np.array_equal(first.floor, again.floor)
    assert not np.array_equal(first.floor, other.floor)


def test_seeds_that_agree_to_the_last_digit_do_no_harm() -> None:
    found = bootstrap(SIZES, np.repeat(law(0.1, 2.0, 0.6)[:, None], 3, axis=1))
    ahead = found.draws.errors(AHEAD)
    assert np.isfinite(ahead).all() and np.isfinite(found.law.errors(AHEAD)).all()
    assert ahead.std(axis=0).max() < 0.03 and found.holds


def test_points_off_any_law_widen_the_interval_and_say_so() -> None:
    """The middle one stands out by far more than its seeds differ."""
    errors = law(0.1, 2.0, 0.6)[:, None] + np.array([[0.0, 0.004, -0.004]])
    off = errors.copy()
    off[2] -= 0.05
    sound, odd = bootstrap(SIZES, errors), bootstrap(SIZES, off)
    assert sound.holds and sound.misfit < 1
    assert not odd.holds and odd.misfit > 4
    spread = [found.draws.errors(AHEAD).std(axis=0) for found in (sound, odd)]
    assert (spread[1] > 1.5 * spread[0]).all()
