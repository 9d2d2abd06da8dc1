"""BADGE: texts to label next that are uncertain, and unlike each other (Ash et al. 2020, arXiv
1906.03671).

Of each text the gradient of the loss by the head's weights is taken, with the model's own answer as
the label: the answer's error (K) times the features (H). It is long where the model is unsure, and
points elsewhere for other texts. k-means++ seeding (Arthur & Vassilvitskii 2007) draws from them:
each text with a probability in proportion to its squared distance from the nearest one chosen. The
origin, where everything is that the model is sure of, counts as chosen from the beginning: else one
such text would be drawn for being far from all others.
"""

from __future__ import annotations

import numpy as np


def choose_batch(
    errors_NK: np.ndarray, features_NH: np.ndarray, number: int, seed: int = 0
) -> list[int]:
    """Up to `number` of N texts, in the order in which they are drawn; the first is the longest."""
    number, random = min(number, len(errors_NK)), np.random.default_rng(seed)
    squares_N = (errors_NK**2).sum(axis=1) * (features_NH**2).sum(axis=1)
    chosen = [int(squares_N.argmax())] if number else []
    nearest_N = squares_N.copy()
    while len(chosen) < number:
        last = chosen[-1]
        products_N = (errors_NK @ errors_NK[last]) * (features_NH @ features_NH[last])
        distance_N = squares_N + squares_N[last] - 2 * products_N
        nearest_N = np.minimum(nearest_N, np.maximum(distance_N, 0.0))
        nearest_N[chosen] = 0.0
        chosen.append(_drawn(nearest_N, squares_N, chosen, random))
    return chosen


def _drawn(
    nearest_N: np.ndarray, squares_N: np.ndarray, chosen: list[int], random: np.random.Generator
) -> int:
    """A text drawn by its distance; where all that is left is alike, the least sure of it."""
    total = float(nearest_N.sum())
    if total > 0:
        return int(random.choice(len(nearest_N), p=nearest_N / total))
    left_N = squares_N.copy()
    left_N[chosen] = -1.0
    return int(left_N.argmax())


def answer_errors(probabilities_NK: np.ndarray, several: bool) -> np.ndarray:
    """Probabilities less the answer that they give (N, K): the likeliest class, or, where there may
    be `several` labels, each that is likelier than not."""
    if several:
        return np.asarray(probabilities_NK - (probabilities_NK > 0.5))
    said_NK = np.zeros_like(probabilities_NK)
    said_NK[np.arange(len(said_NK)), probabilities_NK.argmax(axis=1)] = 1.0
    return np.asarray(probabilities_NK - said_NK)
