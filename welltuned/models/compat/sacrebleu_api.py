"""sacrebleu: the statistics of each sentence, which its corpus scores are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


def sentence_statistics(
    metric: Metric, predictions: Sequence[str], references: Sequence[str]
) -> list[list[float]]:
    """A row of counts (S,) for each sentence; rows add up to the corpus's."""
    return metric._extract_corpus_statistics(predictions, [references])


def score_of_statistics(metric: Metric, sums_S: list[float]) -> float:
    """The corpus score that a sum of rows makes."""
    return float(metric._compute_score_from_stats(sums_S).score)
