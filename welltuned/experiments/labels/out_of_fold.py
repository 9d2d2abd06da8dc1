"""Out-of-fold outputs: each text is answered by models that have learned from the other folds.

Two cheap models, which err in different places: a linear head on hidden states that were read once,
fitted by L-BFGS, and a linear model of word counts. The strength of each one's regularisation is
chosen by the first fold for all: from the strongest on, until the loss of the held-out texts rises.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from welltuned.engines.lbfgs import minimise
from welltuned.engines.linear_head import HeadData, Standardised
from welltuned.experiments.comparison.worker.baselines import word_vectorizer
from welltuned.tasks import LinearReadout, Problem

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""L2 on standardised features, from the strongest on."""
WORD_STRENGTHS = (1.0, 3.0, 10.0, 30.0)
"""Inverse strengths for word counts."""


def deal_folds(
    keys: Sequence[Hashable], strata: Sequence[Hashable], number: int, seed: int = 0
) -> np.ndarray:
    """The fold of each record (N, int): every stratum is dealt out evenly.

    Records with equal keys (equal texts) stay together, or one would tell the other's label.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for i, key in enumerate(keys):
        members[key].append(i)
    by_stratum: dict[Hashable, list[list[int]]] = defaultdict(list)
    for unit in members.values():
        by_stratum[strata[unit[0]]].append(unit)
    random, fold_N, dealt = np.random.default_rng(seed), np.zeros(len(keys), dtype=np.int64), 0
    for stratum in sorted(by_stratum, key=repr):
        units = by_stratum[stratum]
        for place in random.permutation(len(units)):
            fold_N[units[place]] = dealt % number
            dealt += 1
    return fold_N


def head_outputs(
    problem: Problem,
    features_NH: np.ndarray,
    targets: np.ndarray,
    fold_N: np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Outputs (N, K) of linear heads, each for the fold that it has not seen.

    `progress` hears how many folds are done.
    """
    outputs_NK = np.zeros((len(targets), len(problem.labels)))
    strengths: Sequence[float] = STRENGTHS
    for fold in range(int(fold_N.max()) + 1):
        seen, held_out = fold_N != fold, fold_N == fold
        data = head_data(features_NH[seen], targets[seen])
        answers = fit_heads(problem, data, features_NH[held_out], strengths)
        place, outputs_NK[held_out] = first_minimum(problem, answers, targets[held_out])
        strengths = strengths[place : place + 1]
        progress(fold + 1)
    return outputs_NK


def word_outputs(
    problem: Problem, texts: list[str], targets: np.ndarray, fold_N: np.ndarray
) -> np.ndarray:
    """The same of linear models of word counts."""
    linear = problem.linear
    assert linear is not None
    features = word_vectorizer(texts).fit_transform(texts).tocsr()  # it learns nothing of labels
    outputs_NK = np.zeros((len(targets), len(problem.labels)))
    strengths: Sequence[float] = WORD_STRENGTHS
    for fold in range(int(fold_N.max()) + 1):
        seen, held_out = np.flatnonzero(fold_N != fold), np.flatnonzero(fold_N == fold)
        parts = features[seen], linear.estimator_targets(targets[seen]), features[held_out]
        answers = (_fit_words(linear, *parts, strength) for strength in strengths)
        place, outputs_NK[held_out] = first_minimum(problem, answers, targets[held_out])
        strengths = strengths[place : place + 1]
    return outputs_NK


def _fit_words(
    linear: LinearReadout,
    seen: csr_matrix,
    fitted: np.ndarray,
    others: csr_matrix,
    strength: float,
) -> np.ndarray:
    estimator = linear.estimator(strength)
    assert estimator is not None
    return np.asarray(linear.estimator_outputs(estimator.fit(seen, fitted), others))


def first_minimum(
    problem: Problem, answers: Iterable[np.ndarray], targets: np.ndarray
) -> tuple[int, np.ndarray]:
    """Which of some answers, asked for one by one, has a loss that the next one does not better."""
    least, best = np.inf, (0, np.zeros(0))
    for place, outputs_NK in enumerate(answers):
        loss = loss_of_outputs(problem, outputs_NK, targets)
        if loss >= least:
            break
        least, best = loss, (place, outputs_NK)
    return best


# --- Heads ------------------------------------------------------------------------


def head_data(features_NH: np.ndarray, targets: np.ndarray) -> HeadData:
    """Examples as a head is fitted to them."""
    return HeadData(torch.from_numpy(features_NH).double(), as_labels(targets))


def as_labels(targets: np.ndarray) -> torch.Tensor:
    """Targets as a loss reads them; flags in float64, as outputs are here."""
    labels = torch.from_numpy(targets)
    return labels.double() if labels.is_floating_point() else labels


def fit_heads(
    problem: Problem, data: HeadData, others_MH: np.ndarray, strengths: Sequence[float]
) -> Iterator[np.ndarray]:
    """What heads that are fitted to the data put out for others (M, K), one strength at a time.

    Each begins at the optimum of the one before.
    """
    objective, count = problem.objective, problem.objective.count(data.batch) or 1.0
    layer = nn.Linear(data.features.shape[1], len(problem.labels), dtype=torch.float64)
    fitted = Standardised(data, layer)
    others = torch.from_numpy(others_MH).double()
    for l2 in strengths:
        minimise(fitted, lambda: objective.loss(fitted, data.batch) / count, l2)
        fitted.write_to(layer)
        with torch.no_grad():
            outputs_MK = layer(others).numpy()
        yield outputs_MK


def loss_of_outputs(problem: Problem, outputs_NK: np.ndarray, targets: np.ndarray) -> float:
    """The task's own loss of outputs."""
    batch = {"labels": as_labels(targets)}
    answered = _Answered(torch.from_numpy(outputs_NK))
    return float(problem.objective.loss(answered, batch)) / (problem.objective.count(batch) or 1.0)


class _Answered(nn.Module):
    """Stands for a model that has answered already."""

    def __init__(self, logits_NK: torch.Tensor) -> None:
        super().__init__()
        self._logits_NK = logits_NK

    def forward(self, **nothing: object) -> SimpleNamespace:
        return SimpleNamespace(logits=self._logits_NK)
