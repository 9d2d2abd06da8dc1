"""Reward-model metrics: pairwise accuracy, margins and rank correlation.

Pairs of one prompt are not independent: intervals resample prompts, not pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from welltuned.metrics.base import Metric, Predictions, Rows, Scores, Statistic, mean_of
from welltuned.metrics.classification import confidence_gap
from welltuned.metrics.intervals import resampled_sums
from welltuned.metrics.regression import rank_correlation

_LEAST_WRITTEN = 1e-6
"""Probabilities are written with six digits."""
_BINS = 10


@dataclass(frozen=True)
class PairPredictions(Predictions):
    """Q pairs: the better response's reward less the worse one's, and which prompt each is of.

    Equal rewards are half right. The calibration error and the loss are those of
    sigmoid(difference), read as the chance that the better response is the better one.
    """

    name: ClassVar[str] = "pairs"
    default_metric: ClassVar[str] = "log_loss"
    has_confidence: ClassVar[bool] = True
    are_pairs: ClassVar[bool] = True

    differences_Q: np.ndarray
    prompts_Q: np.ndarray
    rest: Scores = field(default_factory=dict)
    """What else is known of the rewards, for `details`."""

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        differences = [row["rewards"]["chosen"] - row["rewards"]["rejected"] for row in rows]
        prompts = {id_: i for i, id_ in enumerate(dict.fromkeys(map(_prompt_id, rows)))}
        return cls(
            np.array(differences, dtype=np.float64),
            np.array([prompts[_prompt_id(row)] for row in rows]),
        )

    @cached_property
    def right_Q(self) -> np.ndarray:
        """1, 0, or one half where both rewards are equal."""
        return _right(self.differences_Q)

    @cached_property
    def resampled_sums(self) -> np.ndarray:
        """How often right, the sum of differences and the pairs of resampled prompts (3, R)."""
        _, prompt_Q = np.unique(self.prompts_Q, return_inverse=True)
        sums_P3 = np.zeros((int(prompt_Q.max()) + 1, 3))
        ones_Q = np.ones(len(self.right_Q))
        parts_Q3 = np.stack([self.right_Q, self.differences_Q, ones_Q], axis=1)
        np.add.at(sums_P3, prompt_Q, parts_Q3)
        return resampled_sums(sums_P3).T

    def details(self) -> Scores:
        return {"pairs": len(self.differences_Q), **self.rest}

    @classmethod
    def mistakes(cls, rows: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
        """Where the model is wrong and most sure of it."""
        wrong = [row for row in rows if row["prediction"] != row["label"]]
        return sorted(wrong, key=lambda row: -row["probabilities"][row["prediction"]])[:limit]


def _prompt_id(row: Any) -> str:
    """Several pairs of one prompt are told apart by `#1`, `#2`, … behind its id."""
    id_, mark, number = str(row["id"]).rpartition("#")
    return id_ if mark and number.isdecimal() else str(row["id"])


def share_right(differences_Q: np.ndarray) -> float:
    """In which share of pairs the better response has the higher reward."""
    return float(_right(differences_Q).mean())


def _right(differences_Q: np.ndarray) -> np.ndarray:
    return np.where(differences_Q == 0, 0.5, differences_Q > 0)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -values))


def score_lengths(
    rewards_M: np.ndarray,
    lengths_M: np.ndarray,
    differences_Q: np.ndarray,
    longer_Q: np.ndarray,
) -> Scores:
    """Whether rewards go with the length of responses.

    Their rank correlation over all responses; and in which share of the pairs that differ
    in length the longer response gets the higher reward. `longer_Q` is the better
    response's length less the worse one's.
    """
    scores = {"length_correlation": rank_correlation(lengths_M, rewards_M)}
    if longer_Q.any():
        agree_Q = np.sign(differences_Q * longer_Q)[longer_Q != 0]
        scores["longer_preferred"] = float((1 + agree_Q).mean() / 2)
    return scores


# --- The metrics ----------------------------------------------------------------------


def _log_loss(predictions: PairPredictions) -> Statistic:
    chances_Q = sigmoid(predictions.differences_Q).round(6)
    return mean_of(-np.log(np.maximum(chances_Q, _LEAST_WRITTEN)))


def _calibration(predictions: PairPredictions) -> Statistic:
    number = len(predictions.differences_Q)
    confidence_Q = sigmoid(np.abs(predictions.differences_Q))
    bin_Q = np.minimum((confidence_Q * _BINS).astype(int), _BINS - 1)
    parts_QM = np.zeros((number, 2 * _BINS))
    parts_QM[np.arange(number), bin_Q] = confidence_Q
    parts_QM[np.arange(number), _BINS + bin_Q] = predictions.right_Q

    def gaps(sums_RM: np.ndarray) -> np.ndarray:
        return np.abs(sums_RM[:, :_BINS] - sums_RM[:, _BINS:]).sum(axis=1) / number

    return Statistic(parts_QM, gaps)


def _resampled_accuracy(predictions: PairPredictions) -> np.ndarray:
    right_R, _, number_R = predictions.resampled_sums
    return right_R / number_R


def _resampled_margin(predictions: PairPredictions) -> np.ndarray:
    _, difference_R, number_R = predictions.resampled_sums
    return difference_R / number_R


PairPredictions.scored_by(
    Metric(
        name="pair_accuracy",
        title="pair accuracy",
        statistic=lambda predictions: mean_of(predictions.right_Q),
        compute=lambda predictions: float(predictions.right_Q.mean()),
        resample=_resampled_accuracy,
    ),
    Metric(
        name="margin",
        title="mean margin",
        statistic=lambda predictions: mean_of(predictions.differences_Q),
        compute=lambda predictions: float(predictions.differences_Q.mean()),
        resample=_resampled_margin,
        bounds=(-np.inf, np.inf),
    ),
    Metric(
        name="log_loss",
        title="log loss",
        statistic=_log_loss,
        compute=lambda predictions: float(np.logaddexp(0, -predictions.differences_Q).mean()),
        has_interval=False,
        lower_is_better=True,
        bounds=(0.0, np.inf),
    ),
    Metric(
        name="calibration_error",
        title="calibration error",
        statistic=_calibration,
        compute=lambda predictions: confidence_gap(
            sigmoid(np.abs(predictions.differences_Q)), predictions.right_Q
        ),
        has_interval=False,
        lower_is_better=True,
    ),
)
