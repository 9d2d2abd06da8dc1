"""Diagnostic checks: one function per pathology, which returns its evidence or None."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from welltuned.schema.messages import Message, message
from welltuned.training.diagnosis.advice import UNBALANCED
from welltuned.training.diagnosis.evidence import Evidence
from welltuned.training.diagnosis.finding import Fault

_BLOWN_UP = 2.0
"""Times its start that a smoothed loss reaches only when steps are too long."""
_GAP = 0.1
"""How much better a model may be on its training examples before that is called overfitting; at
least half of it beyond chance, or the validation loss past its best..."""
_GAP_WITH_RISING_LOSS = 0.05
"""... and how much where its validation loss has risen from its best."""
_RISEN = 1.1
_PAST_BEST = 2
"""Evaluations that have to follow the best one, and by how much the last of them has to be
worse, before it is no news of a few examples more or less."""
_RISEN_CLEARLY = 1.2
_LATE_SHARE = 0.2
"""The share of all progress that, made from the middle to the last third of the way, tells of
more to come. Of a loss that falls exponentially a seventh is then still to be had."""
_SURE = 3.0
"""Standard errors beyond which a difference is significant."""
_LITTLE = 0.25
"""The share of the way from guessing to perfect that is little to have learned..."""
_MUCH = 0.9
"""... and the share beyond which little is left to learn."""
_BARELY = 0.03
"""The share of its start that a loss has to fall before anything can be said to be learned."""
_MOVED = 0.05
"""The share of its start by which a loss changes when weights do."""
_FEW = 6
"""Rows of training losses below which their trend says nothing."""

Look = Callable[[Evidence], Message | None]


def _diverged(evidence: Evidence) -> Message | None:
    losses = evidence.losses
    if not np.isfinite(losses).all():
        return message("diagnosis.not_finite", "the training loss became NaN or infinite")
    if len(losses) < 3:
        return None
    start, smooth = _start(losses), smoothed(losses)
    peak, end = float(smooth.max()), _end(losses)
    if peak > _BLOWN_UP * start and end > start / _BLOWN_UP:
        return message(
            "diagnosis.peak",
            "the training loss rose from {start} to {peak} at step {step} and ended at {end}",
            start=f"{start:.3g}",
            peak=f"{peak:.3g}",
            step=int(evidence.steps[int(smooth.argmax())]),
            end=f"{end:.3g}",
        )
    if end > start + _SURE * _spread(losses) and end > 1.2 * start:
        return message(
            "diagnosis.rose",
            "the training loss rose from {start} to {end}",
            start=f"{start:.3g}",
            end=f"{end:.3g}",
        )
    return None


def _collapsed(evidence: Evidence) -> Message | None:
    if evidence.predicted_share < 0.98 or evidence.true_share >= evidence.predicted_share:
        return None
    if evidence.predicted_share < 1 and evidence.true_share > 0.9:
        return None  # most examples are of that class, and a few others were found
    if evidence.true_share < UNBALANCED and not _has_moved(evidence.losses):
        return None  # a new head may well favour one class; nothing has been learned yet
    return message(
        "diagnosis.collapsed",
        "{predicted} of the validation predictions are '{label}', which {true} of the examples are",
        predicted=f"{evidence.predicted_share:.0%}",
        label=evidence.predicted,
        true=f"{evidence.true_share:.0%}",
    )


def _overfitted(evidence: Evidence) -> Message | None:
    train, validation = evidence.train, evidence.validation
    if train is None or validation is None:
        return None
    gap = train.value - validation.value
    error = math.hypot(train.error, validation.error)
    low, high = gap - 1.96 * error, gap + 1.96 * error
    losses = evidence.validation_losses
    risen = bool(len(losses) > 2 and losses[-1] > _RISEN * np.nanmin(losses))
    # A score between guessing and perfect has a unit; a loss has none, and is its own.
    scale = 1.0 if evidence.guess is not None else abs(validation.value)
    enough = _GAP_WITH_RISING_LOSS if risen else _GAP
    beyond_chance = low >= enough * scale / 2 or _has_turned(losses)
    if gap < enough * scale or not beyond_chance:
        return None
    told = {
        "metric": evidence.metric,
        "train": f"{abs(train.value):.3f}",
        "validation": f"{abs(validation.value):.3f}",
        "gap": f"{gap:.3f} [{low:.3f}, {high:.3f}]",
    }
    if not risen:
        return message(
            "diagnosis.gap",
            "{metric} is {train} on training examples and {validation} on "
            "validation: a gap of {gap}",
            **told,
        )
    return message(
        "diagnosis.gap_and_rising_loss",
        "{metric} is {train} on training examples and "
        "{validation} on validation: a gap of {gap}; the validation loss rose from {best} to "
        "{last}",
        **told,
        best=f"{np.nanmin(losses):.3g}",
        last=f"{losses[-1]:.3g}",
    )


def _getting_worse(evidence: Evidence) -> Message | None:
    """Overfitting as it shows while training goes on: there are no scores on training examples."""
    losses = evidence.validation_losses
    if len(evidence.losses) < _FEW or not _has_turned(losses):
        return None
    if _end(evidence.losses) >= losses[-1]:
        return None
    return message(
        "diagnosis.validation_loss_rising",
        "the validation loss has risen from {best} to {last}, while the training loss is {train}",
        best=f"{np.nanmin(losses):.3g}",
        last=f"{losses[-1]:.3g}",
        train=f"{_end(evidence.losses):.3g}",
    )


def _cut_short(evidence: Evidence) -> Message | None:
    losses = evidence.losses
    if len(losses) < _FEW or _learned_enough(evidence):
        return None
    late = evidence.way > 1 / 3
    if late.sum() < _FEW // 2:
        return None
    slope, error, end = _line(evidence.way[late], losses[late])
    progress, fall = _start(losses) - end, -slope / 3
    scores = evidence.validation_scores
    still_best = len(scores) < 2 or bool(scores[-1] >= np.nanmax(scores))
    if progress <= _BARELY * _start(losses) or not still_best:
        return None
    if fall < _LATE_SHARE * progress or -slope < _SURE * error:
        return None
    return message(
        "diagnosis.still_falling",
        "the training loss was still falling: {share} of its fall from "
        "{start} to {end} came in the last third of training",
        share=f"{min(fall / progress, 1):.0%}",
        start=f"{_start(losses):.3g}",
        end=f"{end:.3g}",
    )


def _underfitted(evidence: Evidence) -> Message | None:
    train, guess, losses = evidence.train, evidence.guess, evidence.losses
    if train is None:
        return None
    if guess is not None:
        little, at_most = (guess + share * (1 - guess) for share in (_LITTLE, 2 * _LITTLE))
        if train.value < little and train.high < at_most:
            return message(
                "diagnosis.no_better_than_guessing",
                "even on training examples {metric} is {train}; ignoring the text gives {guess}",
                metric=evidence.metric,
                train=f"{train.value:.3f}",
                guess=f"{guess:.3f}",
            )
    if len(losses) < _FEW or _learned_enough(evidence):
        return None
    if _start(losses) - _end(losses) > _BARELY * _start(losses):
        return None
    return message(
        "diagnosis.hardly_fell",
        "the training loss hardly fell, from {start} to {end}",
        start=f"{_start(losses):.3g}",
        end=f"{_end(losses):.3g}",
    )


def _plateaued(evidence: Evidence) -> Message | None:
    losses = evidence.losses
    if evidence.skill is None:  # of a loss alone nobody knows how low it could be
        return None
    if len(losses) < 2 * _FEW or _learned_enough(evidence):
        return None
    late = evidence.way > 1 / 3
    if late.sum() < _FEW:
        return None
    slope, error, end = _line(evidence.way[late], losses[late])
    then, progress = end - slope * 2 / 3, _start(losses) - end
    if progress <= _BARELY * _start(losses) or -slope > max(2 * error, 0.1 * progress):
        return None
    return message(
        "diagnosis.not_falling",
        "the training loss has not fallen since step {step} of {steps} "
        "(then {then}, at the end {end})",
        step=int(evidence.steps[late][0]),
        steps=int(evidence.steps[-1]),
        then=f"{then:.3g}",
        end=f"{end:.3g}",
    )


def _endless(evidence: Evidence) -> Message | None:
    """Not where an end was learned: then more training may teach it."""
    end = evidence.answer_end
    if end is None or end["tokens"] is not None or end["end_was_learned"]:
        return None
    return message(
        "diagnosis.endless",
        "the answer to {id} did not end within {tokens:,} tokens, and the answers that were "
        "learned have no token that ends generation",
        id=end["id"],
        tokens=end["max_new_tokens"],
    )


# Gravest first: each speaks only of what those before it do not explain.
WHEN_OVER: dict[Fault, Look] = {
    "diverged": _diverged,
    "collapsed": _collapsed,
    "overfitted": _overfitted,
    "cut short": _cut_short,
    "plateaued": _plateaued,
    "underfitted": _underfitted,
    "endless": _endless,
}
WHILE_TRAINING: dict[Fault, Look] = {
    "diverged": _diverged,
    "collapsed": _collapsed,
    "overfitted": _getting_worse,
}


# --- Reading curves ---


def _learned_enough(evidence: Evidence) -> bool:
    return evidence.skill is not None and evidence.skill >= _MUCH


def _has_turned(losses: np.ndarray) -> bool:
    """Whether a validation loss is past its best, beyond the noise of one evaluation."""
    if len(losses) < 3 or not np.isfinite(losses).any():
        return False
    best = int(np.nanargmin(losses))
    return len(losses) - best > _PAST_BEST and losses[-1] >= _RISEN_CLEARLY * losses[best]


def _has_moved(losses: np.ndarray) -> bool:
    """A head that was solved for has no curve: it has arrived."""
    if not len(losses):
        return True
    start = _start(losses)
    return bool(
        abs(start - _end(losses)) > _MOVED * start or smoothed(losses).max() > (1 + _MOVED) * start
    )


def smoothed(values: np.ndarray, keep: float = 0.8) -> np.ndarray:
    """An exponential moving average without the bias of its start."""
    totals, total, weight = np.zeros(len(values)), 0.0, 0.0
    for i, value in enumerate(values):
        total, weight = keep * total + value, keep * weight + 1
        totals[i] = total / weight
    return totals


def _start(losses: np.ndarray) -> float:
    """The level before anything was learned: the first row, which is one step's, and its like.

    Never more than three, for a long run has learned much in a twentieth of its way.
    """
    return float(losses[: min(3, max(1, len(losses) // 20))].mean())


def _end(losses: np.ndarray) -> float:
    return float(losses[-max(2, len(losses) // 5) :].mean())


def _spread(losses: np.ndarray) -> float:
    """The noise of rows around their trend, from differences of neighbours."""
    return float(np.median(np.abs(np.diff(losses)))) / 0.954


def _line(way: np.ndarray, losses: np.ndarray) -> tuple[float, float, float]:
    """A straight line through losses: (its slope, the slope's standard error, its end)."""
    centre = way - way.mean()
    slope = float(centre @ losses / (centre @ centre))
    rest = losses - losses.mean() - slope * centre
    error = math.sqrt(float(rest @ rest) / max(len(losses) - 2, 1) / float(centre @ centre))
    return slope, error, float(losses.mean() + slope * centre[-1])
