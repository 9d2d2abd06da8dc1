"""Groups of texts to be contrasted with one another, drawn at random and never enumerated.

N texts have about N² / 2 pairs. Here texts are drawn as couples of one label, and a group is as
many couples as fit into it, of different labels: so each text of a group has one like it and others
unlike it. In one round each text is drawn once. What is drawn follows from labels, sizes and seed
alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def draw_groups(flags_NK: np.ndarray, size: int, rounds: int, seed: int) -> np.ndarray:
    """Rows of texts (G, S) in groups of `size`, or of all couples where those are fewer.

    `flags_NK` tells the labels of each text. A text with several is coupled by one of them, drawn
    anew in each round; texts without any are like one another.
    """
    random = np.random.default_rng(seed)
    # Those without a label have one in common.
    flags_NJ = np.concatenate([flags_NK, ~flags_NK.any(axis=1, keepdims=True)], axis=1)
    return np.concatenate([_draw_round(flags_NJ, size, random) for _ in range(rounds)])


def _draw_round(flags_NJ: np.ndarray, size: int, random: np.random.Generator) -> np.ndarray:
    labels_N = _one_label_each(flags_NJ, random)
    drawn = [
        _couples(np.flatnonzero(labels_N == label), np.flatnonzero(flags_NJ[:, label]), random)
        for label in np.unique(labels_N)
    ]
    labels_C = np.repeat(np.unique(labels_N), [len(couples) for couples in drawn])
    spread_C = np.concatenate([_spread(len(couples), random) for couples in drawn])
    order = np.argsort(spread_C, kind="stable")
    couples_C2, labels_C = np.concatenate(drawn)[order], labels_C[order]
    each = min(size // 2, len(couples_C2))
    missing = -len(couples_C2) % each
    filled = np.concatenate(
        [np.arange(len(couples_C2)), random.permutation(len(labels_C))[:missing]]
    )
    chosen_GE = filled.reshape(-1, each)
    _mix(chosen_GE, labels_C, random)
    return couples_C2[chosen_GE].reshape(len(chosen_GE), 2 * each)


def _one_label_each(flags_NJ: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """One of the labels of each text, all of them equally likely."""
    if (flags_NJ.sum(axis=1) == 1).all():
        return flags_NJ.argmax(axis=1)
    return np.where(flags_NJ, random.random(flags_NJ.shape), -1.0).argmax(axis=1)


def _couples(texts: np.ndarray, alike: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Texts two by two (C, 2); one that is left over goes with any other that is alike."""
    texts = random.permutation(texts)
    if len(texts) % 2:
        others = alike[alike != texts[-1]]
        # Alone, it is its own partner: dropout makes two of it (Gao et al. 2021, arXiv 2104.08821).
        partner = random.choice(others) if len(others) else texts[-1]
        texts = np.append(texts, partner)
    return texts.reshape(-1, 2)


def _spread(number: int, random: np.random.Generator) -> np.ndarray:
    """Places between 0 and 1 for so many couples, evenly spread, so that each group has of each."""
    return (np.arange(number) + random.random(number)) / number


def _mix(chosen_GE: np.ndarray, labels_C: np.ndarray, random: np.random.Generator) -> None:
    """Where all of a group have one label, put a couple of another in place of the first."""
    for row in _of_one_label(labels_C[chosen_GE]):
        others = np.flatnonzero(labels_C != labels_C[chosen_GE[row, 0]])
        if len(others):
            chosen_GE[row, 0] = random.choice(others)


def _of_one_label(labels_GE: np.ndarray) -> Iterator[int]:
    yield from np.flatnonzero((labels_GE == labels_GE[:, :1]).all(axis=1)).tolist()
