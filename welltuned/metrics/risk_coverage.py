"""Risk and coverage: what is gained by leaving the least sure answers to somebody else.

El-Yaniv & Wiener 2010 (JMLR 11); Geifman & El-Yaniv 2017 (arXiv 1705.08500).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, from the surest answers alone to all of them: P confidences that occur."""

    confidence_P: np.ndarray
    """What is less sure than this is not answered."""
    coverage_P: np.ndarray
    """The share of examples that are answered."""
    risk_P: np.ndarray
    """The mean loss of those."""

    @property
    def area(self) -> float:
        """The mean risk over all coverages (AURC: Geifman et al. 2019, arXiv 1805.08206)."""
        return float(self.risk_P @ np.diff(self.coverage_P, prepend=0.0))

    def at_least(self, coverage: float) -> int:
        """The first point that answers this share of the examples."""
        return int(np.searchsorted(self.coverage_P, coverage - 1e-9))


def risk_coverage(confidence_N: np.ndarray, loss_N: np.ndarray) -> RiskCoverage:
    """The curve of answers with a confidence and a loss each, such as 1 for a wrong one.

    Answers of equal confidence are given or withheld together.
    """
    number = len(confidence_N)
    order_N = np.argsort(-confidence_N, kind="stable")
    sorted_N = confidence_N[order_N]
    is_last_N = np.append(sorted_N[1:] < sorted_N[:-1], True)
    answered_N = np.arange(1, number + 1)
    risk_N = np.cumsum(loss_N[order_N]) / answered_N
    return RiskCoverage(sorted_N[is_last_N], (answered_N / number)[is_last_N], risk_N[is_last_N])
