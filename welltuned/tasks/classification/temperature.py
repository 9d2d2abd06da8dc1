"""Temperature scaling: logits over one number, so that probabilities can be believed.

Guo et al. 2017, arXiv 1706.04599. The likelihood of the truth is concave in the inverse of the
temperature β, and its slope Σ (y − p(β · logits)) · logits is zero at the optimum, which bisection
finds. Two cautions beside the paper:

- One more example, of which nothing is known, counts among the truths (in the manner of Platt
  1999), or else a model that is right about all of validation would be made infinitely sure.
- A temperature that chance alone would explain (likelihood ratio, 95%) stays 1, so that a model
  which is calibrated is not made worse by the noise of a small split.
"""

from __future__ import annotations

import math

import numpy as np

from welltuned.tasks.classification.probabilities import Link

_BOUNDS = (0.05, 20.0)
"""The least and the greatest temperature."""
_HALVINGS = 60
_BY_CHANCE = 3.841
"""Twice the gain in log-likelihood that one number, which does nothing, exceeds in 5 of 100."""


def fit_temperature(logits_NK: np.ndarray, true_NK: np.ndarray, link: Link) -> float:
    """The temperature that makes truths (N, K, of 0 and 1) likeliest; 1 where that is noise."""
    logits_NK, number = logits_NK.astype(np.float64), len(logits_NK)
    unsure = link.unsure(logits_NK.shape[1])
    likely_NK = (true_NK * number + unsure) / (number + 1)
    least, greatest = (-math.log(bound) for bound in reversed(_BOUNDS))
    for _ in range(_HALVINGS):
        middle = (least + greatest) / 2
        misses_NK = likely_NK - link.probabilities(math.exp(middle) * logits_NK)
        if (misses_NK * logits_NK).sum() > 0:
            least = middle
        else:
            greatest = middle

    def likelihood(inverse: float) -> float:
        scaled_NK = inverse * logits_NK
        return float((likely_NK * scaled_NK).sum()) - link.log_partition(scaled_NK)

    inverse = math.exp((least + greatest) / 2)
    gain = 2 * (likelihood(inverse) - likelihood(1.0))
    return 1 / inverse if gain > _BY_CHANCE else 1.0
