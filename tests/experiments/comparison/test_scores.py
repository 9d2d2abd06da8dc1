"""Scores as functions of sums over examples: the same numbers as the metrics themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from welltuned.experiments.comparison.scores import (
    Statistic,
    is_better,
    is_right,
    known_metrics,
    resampled,
    statistic,
)
from welltuned.metrics.classification import score_multi_label, score_single_label
from welltuned.metrics.entities import find_entities, score_entities, score_tags
from welltuned.metrics.intervals import bootstrap_interval, percentile_interval
from welltuned.metrics.regression import score_regression

LABELS = ["a", "b", "c"]
Case = tuple[list[dict[str, Any]], list[str], dict[str, Any]]


def single_label() -> Case:
    random = np.random.default_rng(1)
    targets = random.integers(0, 3, 80)
    probabilities = random.dirichlet(np.ones(3), 80)
    rows = [
        {
            "label": LABELS[target],
            "prediction": LABELS[int(p.argmax())],
            "probabilities": dict(zip(LABELS, map(float, p), strict=True)),
        }
        for target, p in zip(targets, probabilities, strict=True)
    ]
    return rows, LABELS, score_single_label(targets, probabilities, LABELS, False)


def multi_label() -> Case:
    random = np.random.default_rng(2)
    targets, probabilities = random.integers(0, 2, (60, 3)), random.random((60, 3))
    rows = [
        {
            "label": [name for name, flag in zip(LABELS, t, strict=True) if flag],
            "prediction": [name for name, p in zip(LABELS, ps, strict=True) if p > 0.5],
            "probabilities": dict(zip(LABELS, map(float, ps), strict=True)),
        }
        for t, ps in zip(targets, probabilities, strict=True)
    ]
    return rows, LABELS, score_multi_label(targets, probabilities, LABELS, False)


def regression() -> Case:
    random = np.random.default_rng(3)
    targets = random.normal(1e4, 3, 70)  # far from zero, where sums of squares would cancel
    said = targets + random.normal(0, 2, 70)
    rows = [{"label": float(t), "prediction": float(p)} for t, p in zip(targets, said, strict=True)]
    return rows, [], score_regression(targets, said, False)


def tagged(names: list[str], entities: bool) -> Case:
    random = np.random.default_rng(4)
    rows = []
    for _ in range(40):
        length = int(random.integers(1, 9))
        true = [str(tag) for tag in random.choice(names, length)]
        said = [tag if random.random() < 0.7 else str(random.choice(names)) for tag in true]
        row: dict[str, Any] = {"label": true, "prediction": said, "words": ["w"] * length}
        if entities:
            row["entities"] = [entity._asdict() for entity in find_entities(said)]
        rows.append(row)
    true, said = [row["label"] for row in rows], [row["prediction"] for row in rows]
    scores = score_entities(true, said, False) if entities else score_tags(true, said, names, False)
    return rows, names, scores


def generation() -> Case:
    random = np.random.default_rng(5)
    losses, tokens = random.random(50) * 3, random.integers(1, 30, 50)
    rows = [
        {"loss": float(x), "tokens": int(n), "prompt": "p"}
        for x, n in zip(losses, tokens, strict=True)
    ]
    loss = float((losses * tokens).sum() / tokens.sum())
    return rows, [], {"loss": loss, "perplexity": float(np.exp(loss))}


CASES = {
    "single_label": single_label(),
    "multi_label": multi_label(),
    "regression": regression(),
    "entities": tagged(["O", "B-PER", "I-PER", "B-LOC"], True),
    "tags": tagged(["NOUN", "VERB", "DET"], False),
    "generation": generation(),
}
PAIRS = [(kind, metric) for kind, (rows, _, _) in CASES.items() for metric in known_metrics(rows)]


def of(kind: str, metric: str) -> Statistic:
    rows, labels, _ = CASES[kind]
    part = statistic(metric, rows, labels)
    assert part is not None
    return part


def without(part: Statistic, index: int) -> Statistic:
    return Statistic(np.delete(part.parts_NM, index, axis=0), part.measure)


@pytest.mark.parametrize(("kind", "metric"), PAIRS)
def test_the_value_is_that_of_the_metric(kind: str, metric: str) -> None:
    assert of(kind, metric).value == pytest.approx(CASES[kind][2][metric], rel=1e-5, abs=1e-9)


def test_every_score_of_every_task_is_known() -> None:
    """What may choose the best checkpoint can be compared; calibration of several labels aside."""
    from welltuned.tasks.classification import _METRICS

    for kind, metrics in _METRICS.items():
        assert set(metrics) == set(known_metrics(CASES[kind][0]))


@pytest.mark.parametrize(("kind", "metric"), PAIRS)
def test_influence_is_what_leaving_an_example_out_changes(kind: str, metric: str) -> None:
    """To first order: value(all) - value(all but i) is about influence(i) / N."""
    if metric == "calibration_error":
        pytest.skip("its gaps per bin have corners, where first order says little")
    part = of(kind, metric)
    count = len(part.parts_NM)
    left_out = np.array([part.value - without(part, i).value for i in range(count)]) * count
    left_out -= left_out.mean()
    influence = part.influence()
    assert influence.mean() == pytest.approx(0, abs=1e-9)
    assert np.corrcoef(influence, left_out)[0, 1] > 0.97
    assert influence.std() == pytest.approx(left_out.std(), rel=0.12)


def test_for_a_mean_influence_is_exact() -> None:
    rows = CASES["single_label"][0]
    right = np.array([row["label"] == row["prediction"] for row in rows], dtype=float)
    np.testing.assert_allclose(
        of("single_label", "accuracy").influence(), right - right.mean(), atol=1e-6
    )


def test_resamples_are_those_of_the_intervals() -> None:
    """The same draws for all statistics, so that differences are paired."""
    one, other = of("single_label", "accuracy"), of("single_label", "macro_f1")
    together = resampled([one, other])
    assert together.shape == (2, 1000)
    np.testing.assert_array_equal(together[0], resampled([one])[0])
    right = one.parts_NM[:, 0]
    interval = bootstrap_interval(lambda drawn, _: float(drawn.mean()), right, right)
    assert percentile_interval(together[0]) == pytest.approx(interval)


def test_a_score_that_the_rows_do_not_tell_is_none() -> None:
    rows, labels, _ = CASES["generation"]
    assert statistic("token_accuracy", rows, labels) is None
    assert statistic("accuracy", [], labels) is None


def test_which_is_better_depends_on_the_score() -> None:
    assert is_better("accuracy", 0.9, 0.8) and not is_better("accuracy", 0.8, 0.8)
    assert is_better("loss", 0.8, 0.9) and not is_better("mae", 2.0, 1.0)


def test_right_or_wrong_is_not_asked_of_numbers() -> None:
    assert is_right({"label": 1.0, "prediction": 1.0}) is None
    assert is_right({"label": "a", "prediction": "a", "probabilities": {}}) is True
    assert is_right({"label": ["a"], "prediction": [], "probabilities": {}}) is False
