"""Metrics of a language model's tokens: loss, perplexity, how often the next one is foretold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from welltuned.metrics.base import Metric, Predictions, Rows, Statistic, ratio
from welltuned.metrics.intervals import RESAMPLES

_MOST_NATS = 700.0
"""Beyond this loss the perplexity would overflow."""


@dataclass(frozen=True)
class TokenPredictions(Predictions):
    """Of each text: the summed loss, the tokens it was summed over, and how many were foretold.

    Long texts count for more, as they do in training.
    """

    name: ClassVar[str] = "tokens"
    default_metric: ClassVar[str] = "loss"
    has_answers: ClassVar[bool] = False
    has_mistakes: ClassVar[bool] = False

    sums_N3: np.ndarray

    @classmethod
    def from_rows(cls, rows: Rows, labels: Sequence[str]) -> Self:
        """Rows do not tell how many tokens were foretold."""
        sums = [[row["loss"] * row["tokens"], row["tokens"], np.nan] for row in rows]
        return cls(np.array(sums, dtype=np.float64))

    @cached_property
    def resampled(self) -> dict[str, np.ndarray]:
        """Every metric (R) of the same resamples of the texts."""
        random, number = np.random.default_rng(0), len(self.sums_N3)
        draws_RN = random.integers(0, number, (RESAMPLES, number))
        sums = [self.sums_N3[rows].sum(axis=0, dtype=np.float64) for rows in draws_RN]
        drawn = [_per_token(sums_3) for sums_3 in sums]
        return {name: np.array([draw[name] for draw in drawn]) for name in drawn[0]}

    @cached_property
    def values(self) -> dict[str, float]:
        """Every metric of all texts."""
        return _per_token(self.sums_N3.sum(axis=0, dtype=np.float64))


def _per_token(sums_3: np.ndarray) -> dict[str, float]:
    loss, count, hits = (float(value) for value in sums_3)
    mean = loss / max(count, 1.0)
    return {
        "loss": mean,
        "perplexity": math.exp(min(mean, _MOST_NATS)),
        "token_accuracy": hits / max(count, 1.0),
    }


def _loss(predictions: TokenPredictions) -> Statistic:
    return Statistic(predictions.sums_N3[:, :2], ratio)


def _perplexity(predictions: TokenPredictions) -> Statistic:
    return Statistic(predictions.sums_N3[:, :2], lambda sums: np.exp(ratio(sums)))


def _token_accuracy(predictions: TokenPredictions) -> Statistic | None:
    parts_N2 = predictions.sums_N3[:, [2, 1]]
    return None if np.isnan(parts_N2).any() else Statistic(parts_N2, ratio)


TokenPredictions.scored_by(
    Metric(
        name="loss",
        title="loss",
        statistic=_loss,
        compute=lambda predictions: predictions.values["loss"],
        resample=lambda predictions: predictions.resampled["loss"],
        lower_is_better=True,
        bounds=(0.0, np.inf),
    ),
    Metric(
        name="perplexity",
        title="perplexity",
        statistic=_perplexity,
        compute=lambda predictions: predictions.values["perplexity"],
        resample=lambda predictions: predictions.resampled["perplexity"],
        lower_is_better=True,
        bounds=(1.0, np.inf),
    ),
    Metric(
        name="token_accuracy",
        title="token accuracy",
        statistic=_token_accuracy,
        compute=lambda predictions: predictions.values["token_accuracy"],
        resample=lambda predictions: predictions.resampled["token_accuracy"],
    ),
)
