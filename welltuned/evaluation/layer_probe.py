"""Layer probe: how linearly decodable a task is at every block (Alain & Bengio 2016).

A linear probe is fitted on each block's hidden states of some texts and scored, by the task's own
metric, on others. Before tuning it shows where in the network the task is encoded, and so how many
blocks are worth unfreezing; after tuning, what has moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.linear_probe import FOLDS, folds, read_off
from welltuned.evaluation.probe_features import block_states
from welltuned.runs.results_schema import UnfreezingHint
from welltuned.tasks import Examples, LinearReadout, Problem

MOST_TEXTS = 2000
"""Texts that are read; of larger sets so many are drawn."""
_MOST_WORDS = 20_000
_MOST_BYTES = 512 * 2**20
"""Features that are held at a time; models with many wide blocks are probed on fewer texts."""
_SHUFFLES = 5
_INTERVAL = 2 * 1.96
"""The width of a 95% interval, in standard errors."""


@dataclass(frozen=True)
class LayerScores:
    """Scores by block, from the embeddings up."""

    metric: str
    regions: tuple[str, ...]
    scores: tuple[float, ...]
    behind: tuple[float, ...]
    """How far each is behind the best, in standard errors of the difference, text by text."""
    error: float
    """The standard error of the best score, from resampled texts."""
    chance: float
    """The mean score of probes fitted on shuffled labels, on the best block."""
    above_chance: float
    """How far the best is above that, in standard errors of the difference, text by text."""
    fitted: int
    scored: int
    """Texts it was fitted and scored on; the same ones where it was cross-validated."""


@dataclass(frozen=True)
class _Reading:
    """Examples as a linear probe reads them."""

    linear: LinearReadout
    examples: Examples
    targets_MK: np.ndarray

    @property
    def text_M(self) -> np.ndarray:
        """Which text each thing belongs to, ascending."""
        places = self.linear.places(self.examples)
        if places is None:
            return np.arange(len(self.examples))
        return np.repeat(np.arange(len(places)), [len(place) for place in places])


def probe_layers(
    subject: EvalModel,
    problem: Problem,
    pooling: str,
    train: Examples,
    held_out: Examples | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LayerScores:
    """Probe every block, by what the head reads (`pooling`).

    Fitted on `train` and scored on `held_out`. Without the latter it is cross-validated on the
    training texts: each is scored by a probe that was fitted without it. That is more exact, and
    only right while the model itself has not seen their labels. `progress` hears (done, total).
    """
    linear = problem.linear
    assert linear is not None, "asked of every problem before"
    train = _some(subject, linear, train)
    held_out = _some(subject, linear, held_out) if held_out is not None else None
    asked = ["layers", problem.to_dict(), pooling, train, held_out]
    return subject.once(asked, lambda: _probe(subject, problem, pooling, train, held_out, progress))


def _probe(
    subject: EvalModel,
    problem: Problem,
    pooling: str,
    train: Examples,
    held_out: Examples | None,
    progress: Callable[[int, int], None],
) -> LayerScores:
    linear = problem.linear
    assert linear is not None
    examples = train if held_out is None else train.join(held_out)
    reading = _Reading(linear, examples, linear.targets(examples))
    fold_N = _turns(len(train), held_out)
    scored = examples.take(np.flatnonzero(fold_N >= 0).tolist())
    assert scored.targets is not None
    scorer = problem.without_rule().scorer
    steps, metric = subject.anatomy.num_blocks + 2, scorer.default_metric
    features_LMH = block_states(subject, examples, linear.places(examples), pooling)
    progress(1, steps)
    answers: list[np.ndarray] = []
    for layer, features_MH in enumerate(features_LMH):
        answers.append(_answers(reading, reading.targets_MK, features_MH, fold_N))
        progress(layer + 2, steps)
    scores = [float(scorer.score(answer, scored.targets)[metric]) for answer in answers]
    best = int(np.argmax(scores))
    low, high = scorer.score(answers[best], scored.targets, intervals=True)[f"{metric}_ci95"]
    rights = [linear.right(answer, scored.targets) for answer in answers]
    random = np.random.default_rng(0)
    shuffled = (random.permutation(reading.targets_MK) for _ in range(_SHUFFLES))
    guesses = [_answers(reading, one, features_LMH[best], fold_N) for one in shuffled]
    return LayerScores(
        metric,
        ("embeddings", *(f"block {block}" for block in range(subject.anatomy.num_blocks))),
        tuple(scores),
        tuple(_behind(right_N, rights[best]) for right_N in rights),
        float(high - low) / _INTERVAL,
        float(np.mean([scorer.score(guess, scored.targets)[metric] for guess in guesses])),
        _behind(np.mean([linear.right(one, scored.targets) for one in guesses], 0), rights[best]),
        len(train) if held_out is not None else len(train) * (FOLDS - 1) // FOLDS,
        len(scored),
    )


def _turns(number: int, held_out: Examples | None) -> np.ndarray:
    """The fold in which each text is scored (N); -1 for texts that are fitted on alone."""
    if held_out is None:
        return folds(np.zeros(number, dtype=np.int64))
    return np.repeat([-1, 0], [number, len(held_out)])


def _answers(
    reading: _Reading, targets_MK: np.ndarray, features_MH: np.ndarray, fold_N: np.ndarray
) -> np.ndarray:
    """The outputs for all scored texts, in order."""
    fold_M = fold_N[reading.text_M]
    answers_MK = np.zeros(targets_MK.shape)
    for fold in range(int(fold_N.max()) + 1):
        fitted_M, scored_M = fold_M != fold, fold_M == fold
        answers_MK[scored_M] = read_off(
            features_MH[fitted_M], targets_MK[fitted_M], features_MH[scored_M]
        )
    return reading.linear.outputs(answers_MK, reading.examples, np.flatnonzero(fold_N >= 0))


def _behind(right_N: np.ndarray, best_N: np.ndarray) -> float:
    """The mean difference between two readings of the same texts, in its standard errors."""
    gap_N = best_N - right_N
    error = float(gap_N.std(ddof=1) / np.sqrt(len(gap_N))) if len(gap_N) > 1 else 0.0
    return float(gap_N.mean()) / error if error else 0.0


def _some(subject: EvalModel, linear: LinearReadout, examples: Examples) -> Examples:
    """As many examples as time and memory allow, drawn evenly."""
    row = 4 * (subject.anatomy.num_blocks + 1) * subject.anatomy.hidden_size
    limit = min(MOST_TEXTS, _MOST_BYTES // row)
    order = np.random.default_rng(0).permutation(len(examples))
    if (places := linear.places(examples)) is not None:
        words = np.cumsum([len(places[i]) for i in order])
        limit = min(limit, int(np.searchsorted(words, min(_MOST_WORDS, _MOST_BYTES // row))) + 1)
    return examples.take(sorted(order[:limit].tolist()))


# --- The hint -------------------------------------------------------------------


def hint(found: LayerScores) -> UnfreezingHint:
    """{"num_blocks", "why"}: how many blocks from the top are worth unfreezing, and the reason.

    The lowest block that is at most one standard error behind the best (the rule of Breiman et al.
    1984) holds all that is linearly decodable: what stands above it has turned towards what the
    model was trained for, and is what tuning has to turn round. One block at least.
    """
    blocks, best = len(found.scores) - 1, max(found.scores)
    layer = next(i for i, behind in enumerate(found.behind) if behind <= 1)
    told = f"{found.metric} {best:.3f} ± {found.error:.3f}"
    if found.above_chance <= 2:
        why = (
            f"no block tells more than chance ({told}, chance {found.chance:.3f}): the frozen "
            "network does not hold the task, so every block has to learn it"
        )
        return {"num_blocks": blocks, "why": why}
    where = found.regions[layer]
    if layer == 0:
        why = (
            f"the words alone tell as much as any block ({told}): no block holds more of the "
            "task yet, and counting words may do as well as this network"
        )
        return {"num_blocks": blocks, "why": why}
    if layer == blocks:
        why = (
            f"the task is read best from the top, {where} ({told}): the blocks below already "
            "work for it; begin with the top one and unfreeze more only if that falls short"
        )
        return {"num_blocks": 1, "why": why}
    number = blocks - layer
    above = "the block above adds" if number == 1 else f"the {number} blocks above add"
    why = (
        f"{where} tells as much of the task as any ({told}); {above} nothing to it, and can be "
        "rewritten for it"
    )
    return {"num_blocks": number, "why": why}
