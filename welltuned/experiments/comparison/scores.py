"""Per-example contributions to a score, for resampling and paired tests.

Every score here is a function of sums over examples: accuracy of hits and counts,
macro-F1 of each class's hits, truths and predictions, R² of squared errors. A
resample then draws examples and never reads a prediction twice, and how the score
changes with one example is known too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from welltuned.metrics import LOWER_IS_BETTER
from welltuned.metrics.entities import find_entities
from welltuned.metrics.intervals import resampled_sums

Rows = Sequence[dict[str, Any]]
_STEP = 1e-4


@dataclass(frozen=True)
class Statistic:
    """A score as a function of sums over examples."""

    parts_NM: np.ndarray
    """What each example adds."""
    measure: Callable[[np.ndarray], np.ndarray]
    """Scores (R) from sums (R, M)."""

    @property
    def value(self) -> float:
        """The score of all examples."""
        return float(self.measure(self.parts_NM.sum(axis=0)[None])[0])

    def influence(self) -> np.ndarray:
        """How much each example (N) moves the score away from its mean, to first order.

        The values have a mean of zero; for a plain mean they are its terms less the mean.
        """
        sums_M = self.parts_NM.sum(axis=0)
        steps_M = _STEP * np.maximum(np.abs(sums_M), 1.0)
        upper, lower = sums_M + np.diag(steps_M), sums_M - np.diag(steps_M)
        slopes_M = (self.measure(upper) - self.measure(lower)) / (2 * steps_M)
        influence_N = self.parts_NM @ slopes_M * len(self.parts_NM)
        return influence_N - influence_N.mean()


def resampled(statistics: Sequence[Statistic]) -> np.ndarray:
    """Scores (T, R) of T statistics, for resamples of the examples that are the same for all."""
    sums_RM = resampled_sums(np.concatenate([part.parts_NM for part in statistics], axis=1))
    ends = np.cumsum([part.parts_NM.shape[1] for part in statistics])[:-1]
    split = np.split(sums_RM, ends, axis=1)
    return np.stack([part.measure(own) for part, own in zip(statistics, split, strict=True)])


def statistic(metric: str, rows: Rows, labels: Sequence[str]) -> Statistic | None:
    """A score of the rows of predictions.jsonl; None for one that they do not tell."""
    if not rows:
        return None
    read = _READERS[_kind(rows[0])].get(metric)
    return read(rows, labels) if read else None


def known_metrics(rows: Rows) -> list[str]:
    """The scores that these rows tell, the usual first."""
    return list(_READERS[_kind(rows[0])])


def is_better(metric: str, one: float, other: float) -> bool:
    """Whether one score is better than another."""
    return one < other if metric in LOWER_IS_BETTER else one > other


def is_right(row: dict[str, Any]) -> bool | None:
    """Whether a prediction is right; None where that is a question of degree."""
    if _kind(row) in ("regression", "generation"):
        return None
    return bool(row["label"] == row["prediction"])


def _kind(row: dict[str, Any]) -> str:
    if "tokens" in row and "loss" in row:
        return "generation"
    if "words" in row:
        return "entities" if "entities" in row else "tags"
    if "probabilities" not in row:
        return "regression"
    return "multi_label" if isinstance(row["prediction"], list) else "single_label"


# --- One label ------------------------------------------------------------------


def _share(parts_NM: np.ndarray) -> Statistic:
    """The mean of one number an example."""
    parts = np.stack([parts_NM, np.ones(len(parts_NM))], axis=1).astype(np.float64)
    return Statistic(parts, _ratio)


def _ratio(sums_RM: np.ndarray) -> np.ndarray:
    return np.divide(
        sums_RM[:, 0], sums_RM[:, 1], out=np.zeros(len(sums_RM)), where=sums_RM[:, 1] > 0
    )


def _accuracy(rows: Rows, labels: Sequence[str]) -> Statistic:
    return _share(np.array([row["label"] == row["prediction"] for row in rows], dtype=float))


def _macro_f1(rows: Rows, labels: Sequence[str]) -> Statistic:
    true = np.array([[row["label"] == label for label in labels] for row in rows])
    said = np.array([[row["prediction"] == label for label in labels] for row in rows])
    return Statistic(_counts(true, said), _mean_f1)


def _log_loss(rows: Rows, labels: Sequence[str]) -> Statistic:
    least = 1e-6  # probabilities are written with six digits
    return _share(
        np.array([-np.log(max(row["probabilities"][row["label"]], least)) for row in rows])
    )


def _calibration(rows: Rows, labels: Sequence[str], bins: int = 10) -> Statistic:
    parts = np.zeros((len(rows), 2 * bins))
    for i, row in enumerate(rows):
        confidence = max(row["probabilities"].values())
        where = min(int(confidence * bins), bins - 1)
        parts[i, where] = confidence
        parts[i, bins + where] = row["label"] == row["prediction"]

    def gaps(sums_RM: np.ndarray) -> np.ndarray:
        return np.abs(sums_RM[:, :bins] - sums_RM[:, bins:]).sum(axis=1) / len(rows)

    return Statistic(parts, gaps)


def _counts(true_NK: np.ndarray, said_NK: np.ndarray) -> np.ndarray:
    """Of each class: hits, how often true, how often predicted (N, 3K)."""
    return np.concatenate([true_NK & said_NK, true_NK, said_NK], axis=1).astype(np.float64)


def _f1(hits: np.ndarray, true: np.ndarray, said: np.ndarray) -> np.ndarray:
    whole = true + said
    return np.divide(2 * hits, whole, out=np.zeros(np.shape(hits)), where=whole > 0)


def _mean_f1(sums_RM: np.ndarray) -> np.ndarray:
    return _f1(*np.split(sums_RM, 3, axis=1)).mean(axis=1)


def _single_f1(sums_RM: np.ndarray) -> np.ndarray:
    return _f1(*sums_RM.T)


# --- Several labels, numbers ------------------------------------------------------


def _flags(rows: Rows, labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    true = np.array([[label in row["label"] for label in labels] for row in rows])
    said = np.array([[label in row["prediction"] for label in labels] for row in rows])
    return true, said


def _micro_f1(rows: Rows, labels: Sequence[str]) -> Statistic:
    true, said = _flags(rows, labels)
    counts = [part.sum(axis=1) for part in (true & said, true, said)]
    return Statistic(np.stack(counts, axis=1).astype(np.float64), _single_f1)


def _macro_f1_of_many(rows: Rows, labels: Sequence[str]) -> Statistic:
    return Statistic(_counts(*_flags(rows, labels)), _mean_f1)


def _exact_match(rows: Rows, labels: Sequence[str]) -> Statistic:
    true, said = _flags(rows, labels)
    return _share((true == said).all(axis=1).astype(float))


def _numbers(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([row["label"] for row in rows], dtype=np.float64),
        np.array([row["prediction"] for row in rows], dtype=np.float64),
    )


def _r2(rows: Rows, labels: Sequence[str]) -> Statistic:
    true, said = _numbers(rows)
    centred = true - true.mean()  # sums of squares of large numbers would cancel

    def measure(sums_RM: np.ndarray) -> np.ndarray:
        error, square, plain, count = sums_RM.T
        spread = square - plain**2 / count
        return 1 - np.divide(error, spread, out=np.ones(len(error)), where=spread > 0)

    parts = [(true - said) ** 2, centred**2, centred, np.ones(len(rows))]
    return Statistic(np.stack(parts, axis=1), measure)


def _mae(rows: Rows, labels: Sequence[str]) -> Statistic:
    true, said = _numbers(rows)
    return _share(np.abs(true - said))


def _rmse(rows: Rows, labels: Sequence[str]) -> Statistic:
    true, said = _numbers(rows)
    squares = _share((true - said) ** 2)
    return Statistic(squares.parts_NM, lambda sums: np.sqrt(_ratio(sums)))


def _spearman(rows: Rows, labels: Sequence[str]) -> Statistic:
    """The correlation of ranks, which stay those of all examples in every resample."""
    from scipy.stats import rankdata

    ranks = [rankdata(side) - (len(rows) + 1) / 2 for side in _numbers(rows)]
    x, y = ranks

    def measure(sums_RM: np.ndarray) -> np.ndarray:
        sx, sy, sxx, syy, sxy, count = sums_RM.T
        covariance = sxy - sx * sy / count
        spread = np.sqrt(np.maximum((sxx - sx**2 / count) * (syy - sy**2 / count), 0))
        return np.divide(covariance, spread, out=np.zeros(len(sx)), where=spread > 0)

    return Statistic(np.stack([x, y, x * x, y * y, x * y, np.ones(len(x))], axis=1), measure)


# --- Tags and text ------------------------------------------------------------------


def _entity_counts(rows: Rows) -> np.ndarray:
    counts = []
    for row in rows:
        true, said = (set(find_entities(row[key])) for key in ("label", "prediction"))
        counts.append([len(true & said), len(true), len(said)])
    return np.array(counts, dtype=np.float64)


def _entity_f1(rows: Rows, labels: Sequence[str]) -> Statistic:
    return Statistic(_entity_counts(rows), _single_f1)


def _entity_precision(rows: Rows, labels: Sequence[str]) -> Statistic:
    return Statistic(_entity_counts(rows)[:, [0, 2]], _ratio)


def _entity_recall(rows: Rows, labels: Sequence[str]) -> Statistic:
    return Statistic(_entity_counts(rows)[:, [0, 1]], _ratio)


def _tag_accuracy(rows: Rows, labels: Sequence[str]) -> Statistic:
    pairs = [(row["label"], row["prediction"]) for row in rows]
    parts = [[sum(a == b for a, b in zip(*pair, strict=True)), len(pair[0])] for pair in pairs]
    return Statistic(np.array(parts, dtype=np.float64), _ratio)


def _tag_f1(rows: Rows, labels: Sequence[str]) -> Statistic:
    parts = np.zeros((len(rows), 3, len(labels)))
    number = {label: k for k, label in enumerate(labels)}
    for i, row in enumerate(rows):
        for true, said in zip(row["label"], row["prediction"], strict=True):
            parts[i, 1, number[true]] += 1
            if said in number:
                parts[i, 2, number[said]] += 1
                parts[i, 0, number[said]] += true == said
    return Statistic(parts.reshape(len(rows), -1), _mean_f1)


def _loss(rows: Rows, labels: Sequence[str]) -> Statistic:
    """Loss per token: long answers count for more, as they do in training."""
    parts = [[row["loss"] * row["tokens"], row["tokens"]] for row in rows]
    return Statistic(np.array(parts, dtype=np.float64), _ratio)


def _perplexity(rows: Rows, labels: Sequence[str]) -> Statistic:
    return Statistic(_loss(rows, labels).parts_NM, lambda sums: np.exp(_ratio(sums)))


_READERS: dict[str, dict[str, Callable[[Rows, Sequence[str]], Statistic]]] = {
    "single_label": {
        "macro_f1": _macro_f1,
        "accuracy": _accuracy,
        "log_loss": _log_loss,
        "calibration_error": _calibration,
    },
    "multi_label": {
        "macro_f1": _macro_f1_of_many,
        "micro_f1": _micro_f1,
        "exact_match": _exact_match,
    },
    "regression": {"r2": _r2, "mae": _mae, "rmse": _rmse, "spearman": _spearman},
    "entities": {
        "entity_f1": _entity_f1,
        "entity_precision": _entity_precision,
        "entity_recall": _entity_recall,
        "accuracy": _tag_accuracy,
    },
    "tags": {"accuracy": _tag_accuracy, "macro_f1": _tag_f1},
    "generation": {"loss": _loss, "perplexity": _perplexity},
}
"""How each kind of prediction is read, and which scores it tells."""
