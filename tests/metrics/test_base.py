"""Scores as functions of sums over examples: the same numbers as the metrics themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from faults import refused
from welltuned.metrics import (
    FAMILIES,
    ClassPredictions,
    EntityPredictions,
    LabelSetPredictions,
    Metric,
    NumberPredictions,
    PairPredictions,
    Statistic,
    TagPredictions,
    every_metric,
    family_of,
    is_better,
    metric_named,
    score,
)
from welltuned.metrics.base import mean_of, resampled
from welltuned.metrics.entities import find_entities
from welltuned.metrics.intervals import bootstrap_interval, percentile_interval

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
    return rows, LABELS, score(ClassPredictions.of(targets, probabilities, LABELS))


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
    return rows, LABELS, score(LabelSetPredictions.of(targets, probabilities, LABELS))


def regression() -> Case:
    random = np.random.default_rng(3)
    targets = random.normal(1e4, 3, 70)  # far from zero, where sums of squares would cancel
    said = targets + random.normal(0, 2, 70)
    rows = [{"label": float(t), "prediction": float(p)} for t, p in zip(targets, said, strict=True)]
    return rows, [], score(NumberPredictions(targets, said))


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
    family = EntityPredictions if entities else TagPredictions
    return rows, names, score(family(true, said, tuple(names)))


def generation() -> Case:
    random = np.random.default_rng(5)
    losses, tokens = random.random(50) * 3, random.integers(1, 30, 50)
    rows = [
        {"loss": float(x), "tokens": int(n), "prompt": "p"}
        for x, n in zip(losses, tokens, strict=True)
    ]
    loss = float((losses * tokens).sum() / tokens.sum())
    return rows, [], {"loss": loss, "perplexity": float(np.exp(loss))}


def compared() -> Case:
    random = np.random.default_rng(6)
    rewards = random.normal(size=(40, 2))
    rows = [
        {
            "id": f"a:{i // 2}#{i % 2 + 1}",
            "label": "chosen",
            "prediction": "chosen" if better > worse else "rejected",
            "rewards": {"chosen": float(better), "rejected": float(worse)},
        }
        for i, (better, worse) in enumerate(rewards)
    ]
    prompts = np.arange(40) // 2
    return rows, [], score(PairPredictions(rewards[:, 0] - rewards[:, 1], prompts))


CASES = {
    "single_label": single_label(),
    "multi_label": multi_label(),
    "number": regression(),
    "entities": tagged(["O", "B-PER", "I-PER", "B-LOC"], True),
    "tags": tagged(["NOUN", "VERB", "DET"], False),
    "tokens": generation(),
    "pairs": compared(),
}


def known(kind: str) -> dict[str, Statistic]:
    """The scores that the rows of a kind tell."""
    rows, labels, _ = CASES[kind]
    read = FAMILIES[kind].from_rows(rows, labels)
    parts = {metric.name: metric.statistic(read) for metric in FAMILIES[kind].metrics}
    return {name: part for name, part in parts.items() if part is not None}


PAIRS = [(kind, metric) for kind in CASES for metric in known(kind)]


def of(kind: str, metric: str) -> Statistic:
    return known(kind)[metric]


def without(part: Statistic, index: int) -> Statistic:
    return Statistic(np.delete(part.parts_NM, index, axis=0), part.measure)


@pytest.mark.parametrize(("kind", "metric"), PAIRS)
def test_the_value_is_that_of_the_metric(kind: str, metric: str) -> None:
    assert of(kind, metric).value == pytest.approx(CASES[kind][2][metric], rel=1e-5, abs=1e-9)


def test_every_score_of_every_family_can_be_compared() -> None:
    """What may choose the best checkpoint; how many tokens were foretold is not written down."""
    for kind in CASES:
        untold = {"token_accuracy"} if kind == "tokens" else set()
        assert {metric.name for metric in FAMILIES[kind].metrics} == set(known(kind)) | untold


def test_metrics_of_one_name_agree_in_direction_and_words() -> None:
    for metric in every_metric():
        first = metric_named(metric.name)
        assert first is not None
        for trait in ("title", "lower_is_better", "bounds"):
            assert getattr(metric, trait) == getattr(first, trait), metric.name


def test_the_usual_metric_of_a_family_is_one_of_its_own() -> None:
    for family in FAMILIES.values():
        assert family.default_metric in {metric.name for metric in family.metrics}


def test_a_metric_is_complete_with_a_statistic_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, interval and comparison follow; nothing else changes to add one."""
    wrong = Metric(
        name="error_rate",
        title="error rate",
        statistic=lambda predictions: mean_of(
            (predictions.true_N != predictions.said_N).astype(float)
        ),
        lower_is_better=True,
    )
    monkeypatch.setattr(ClassPredictions, "metrics", (*ClassPredictions.metrics, wrong))
    rows, labels, _ = CASES["single_label"]
    scores = score(ClassPredictions.from_rows(rows, labels), intervals=True)
    assert scores["error_rate"] == pytest.approx(1 - scores["accuracy"])
    low, high = scores["error_rate_ci95"]
    assert low < scores["error_rate"] < high
    assert of("single_label", "error_rate").value == pytest.approx(scores["error_rate"])
    assert is_better("error_rate", 0.1, 0.2)


def test_a_family_that_is_not_known_is_refused_with_the_known_ones() -> None:
    assert family_of({"predictions": "tags"}) is TagPredictions
    with refused("metric.predictions_unknown", name="sounds", known=", ".join(FAMILIES)):
        family_of({"predictions": "sounds"})


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
    assert "token_accuracy" not in known("tokens")


def test_which_is_better_depends_on_the_score() -> None:
    assert is_better("accuracy", 0.9, 0.8) and not is_better("accuracy", 0.8, 0.8)
    assert is_better("loss", 0.8, 0.9) and not is_better("mae", 2.0, 1.0)


def predictions(right: int, wrong: int) -> ClassPredictions:
    rows = [{"label": "ab"[i % 2], "prediction": "ab"[i % 2]} for i in range(right)]
    rows += [{"label": "ab"[i % 2], "prediction": "ba"[i % 2]} for i in range(wrong)]
    given = [{**row, "probabilities": {"a": 0.5, "b": 0.5}} for row in rows]
    return ClassPredictions.from_rows(given, ["a", "b"])


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_all_right_leaves_room_for_errors_not_seen(name: str) -> None:
    """30 of 30: the binomial says 0.884 to 1, whatever no resample can show."""
    metric = metric_named(name)
    assert metric is not None
    exact = stats.binomtest(30, 30).proportion_ci(0.95, "exact")
    assert metric.interval(predictions(30, 0)) == pytest.approx([exact.low, 1.0])
    assert metric.interval(predictions(0, 30)) == pytest.approx([0.0, 1 - exact.low])


def test_where_resamples_differ_they_count() -> None:
    metric = metric_named("accuracy")
    assert metric is not None
    low, high = metric.interval(predictions(27, 3))
    assert 0.7 < low < 0.9 < high <= 1


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("accuracy", 0.0, 1.0),
        ("mae", 0.0, 9.0),
        ("r2", -9.0, 1.0),
        ("spearman", -1.0, 1.0),
        ("margin", -9.0, 9.0),
        ("perplexity", 1.0, 9.0),
        ("bleu", 0.0, 9.0),
    ],
)
def test_no_interval_reaches_where_no_value_can_be(name: str, low: float, high: float) -> None:
    metric = metric_named(name)
    assert metric is not None
    assert metric.within_bounds(-9.0, 9.0) == (low, high)
    assert np.isfinite(metric.within_bounds(-9.0, 9.0)).all()
