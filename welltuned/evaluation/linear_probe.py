"""Linear probes: linear classifiers and regressors on fixed features.

Ridge regression on standardised features, for classes on one column of plus and minus
one each (Alain & Bengio 2016, arXiv 1610.01644, probe layers by linear classifiers).
It has a closed form, needs no step size, and its strength is chosen on the training
rows alone by their leave-one-out errors, which have a closed form too (Golub, Heath &
Wahba 1979).
"""

from __future__ import annotations

import numpy as np

STRENGTHS = tuple(float(10.0**power) for power in range(-1, 7))
"""The candidate strengths of the ridge penalty."""
FOLDS = 5
_HARDLY = 1e-6


def read_off(train_NH: np.ndarray, targets_NK: np.ndarray, others_MH: np.ndarray) -> np.ndarray:
    """Fit on the training rows and predict for the others (M, K)."""
    mean_H, spread_H = train_NH.mean(axis=0), train_NH.std(axis=0)
    # What hardly varies in training counts for nothing.
    spread_H = np.where(spread_H > _HARDLY * spread_H.max(), spread_H, np.inf)
    rows_NH = ((train_NH - mean_H) / spread_H).astype(np.float64)
    others_MH = ((others_MH - mean_H) / spread_H).astype(np.float64)
    middle_K = targets_NK.mean(axis=0)
    weights_HK = _ridge(rows_NH, targets_NK - middle_K)
    return others_MH @ weights_HK + middle_K


def _ridge(rows_NH: np.ndarray, targets_NK: np.ndarray) -> np.ndarray:
    """Weights (H, K) for centred rows and targets, the strength with the least error left out.

    Of a row's prediction the share h comes from the row itself, so its error when left out
    is its error divided by 1 - h; the mean takes 1 / N of it.
    """
    left_NR, squares_R, right_HR = _decompose(rows_NH)
    along_RK = left_NR.T @ targets_NK
    best = np.inf
    weights_HK = np.zeros((rows_NH.shape[1], targets_NK.shape[1]))
    for strength in STRENGTHS:
        shrunk_R = squares_R / (squares_R + strength)
        own_N = (left_NR**2) @ shrunk_R + 1 / len(rows_NH)
        errors_NK = targets_NK - left_NR @ (shrunk_R[:, None] * along_RK)
        error = float(((errors_NK / np.maximum(1 - own_N, _HARDLY)[:, None]) ** 2).mean())
        if error < best:
            best = error
            scale_R = np.sqrt(squares_R) / (squares_R + strength)
            weights_HK = right_HR @ (scale_R[:, None] * along_RK)
    return weights_HK


def _decompose(rows_NH: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The singular value decomposition (N, R), (R) squared, (H, R), by the smaller Gram matrix."""
    wide = rows_NH.shape[0] < rows_NH.shape[1]
    gram = rows_NH @ rows_NH.T if wide else rows_NH.T @ rows_NH
    squares_R, vectors = np.linalg.eigh(gram)
    kept = squares_R > 1e-10 * max(float(squares_R.max()), 0.0)
    squares_R, vectors = squares_R[kept], vectors[:, kept]
    others = (rows_NH.T if wide else rows_NH) @ vectors / np.sqrt(squares_R)
    return (vectors, squares_R, others) if wide else (others, squares_R, vectors)


def signed_one_hot(classes_N: np.ndarray, number: int) -> np.ndarray:
    """Classes as one column of plus and minus one each (N, K)."""
    return np.where(classes_N[:, None] == np.arange(number), 1.0, -1.0)


def right_out_of_fold(features_NH: np.ndarray, classes_N: np.ndarray) -> np.ndarray:
    """Which rows a probe gets right that was fitted without them (N, bool).

    The folds are a function of the classes alone: two sets of features of the same rows
    can be compared row by row.
    """
    targets_NK = signed_one_hot(classes_N, int(classes_N.max()) + 1)
    right_N = np.zeros(len(classes_N), dtype=bool)
    fold_N = folds(classes_N)
    for fold in range(FOLDS):
        train, held_out = fold_N != fold, fold_N == fold
        answers = read_off(features_NH[train], targets_NK[train], features_NH[held_out])
        right_N[held_out] = answers.argmax(axis=1) == classes_N[held_out]
    return right_N


def folds(classes_N: np.ndarray) -> np.ndarray:
    """The fold of each row (N): the rows of a class are dealt out in random order."""
    shuffled = np.random.default_rng(0).permutation(len(classes_N))
    by_class = shuffled[np.argsort(classes_N[shuffled], kind="stable")]
    fold_N = np.empty(len(classes_N), dtype=np.int64)
    fold_N[by_class] = np.arange(len(classes_N)) % FOLDS
    return fold_N
