"""Representation drift: linear CKA (Kornblith et al. 2019, arXiv 1905.00414).

1 for features that agree up to rotation and scale, 0 for unrelated ones. Rebuilt from
the unbiased estimator of HSIC (Song et al. 2012, JMLR 13): the plain one nears 1 for any
two sets of features that are wider than the number of texts.
"""

from __future__ import annotations

import math

import numpy as np


def linear_cka(one_NH: np.ndarray, other_NH: np.ndarray) -> float:
    """The similarity of two sets of features of the same N texts, from 4 on."""
    one, other = _kernel(one_NH), _kernel(other_NH)
    scale = math.sqrt(max(_hsic(one, one), 0.0) * max(_hsic(other, other), 0.0))
    return _hsic(one, other) / scale if scale > 0 else 0.0


def _kernel(features_NH: np.ndarray) -> np.ndarray:
    """Inner products of all pairs (N, N), without those of a text with itself."""
    centred_NH = features_NH.astype(np.float64) - features_NH.mean(axis=0, dtype=np.float64)
    kernel_NN = centred_NH @ centred_NH.T
    np.fill_diagonal(kernel_NN, 0.0)
    return kernel_NN


def _hsic(one_NN: np.ndarray, other_NN: np.ndarray) -> float:
    """Song et al. 2012, equation 5, for kernels without diagonals."""
    n = len(one_NN)
    sums = one_NN.sum() * other_NN.sum() / ((n - 1) * (n - 2))
    mixed = 2 / (n - 2) * (one_NN.sum(axis=0) @ other_NN.sum(axis=1))
    return float(((one_NN * other_NN).sum() + sums - mixed) / (n * (n - 3)))
