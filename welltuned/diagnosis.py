"""What a training's curves say, in words, and what to try next.

Pure functions over what a run folder holds: the rows of metrics.jsonl, results.json and
the config. Each fault is claimed only where noise does not explain what is seen; a run of
which nothing can be claimed is healthy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from welltuned.metrics import LOWER_IS_BETTER

Fault = Literal["diverged", "collapsed", "overfitted", "cut short", "underfitted", "plateaued"]
HEALTHY = "healthy"

_BLOWN_UP = 2.0
"""Times its start that a smoothed loss reaches only when steps are too long."""
_GAP = 0.1
"""How much better a model may be on its training examples before that is called overfitting..."""
_GAP_WITH_RISING_LOSS = 0.05
"""... and how much where its validation loss has risen from its best."""
_RISEN = 1.1
_LATE_SHARE = 0.2
"""The share of all progress that, made from the middle to the last third of the way, tells of
more to come. Of a loss that falls exponentially a seventh is then still to be had."""
_SURE = 3.0
"""Standard errors beyond which a difference is no chance."""
_LITTLE = 0.25
"""The share of the way from guessing to perfect that is little to have learned..."""
_MUCH = 0.9
"""... and the share beyond which little is left to learn."""
_BARELY = 0.03
"""The share of its start that a loss has to fall before its fall can be called cut short."""
_MOVED = 0.05
"""The share of its start by which a loss changes when weights do."""
_FEW = 6
"""Rows of training losses below which their course says nothing."""


@dataclass(frozen=True)
class Finding:
    """One fault: what shows it, and what to try."""

    fault: Fault
    evidence: str
    advice: str
    command: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @property
    def next(self) -> str:
        """What to try, with its command, on one line."""
        return f"try {self.advice}: {self.command}"


@dataclass(frozen=True)
class Score:
    """A score and the interval it lies in; both signed so that more is better."""

    value: float
    low: float
    high: float

    @property
    def error(self) -> float:
        """Its standard error, as the 95% interval tells it."""
        return (self.high - self.low) / (2 * 1.96)


@dataclass(frozen=True)
class Evidence:
    """What is looked at."""

    losses: np.ndarray
    """Training losses as logged (N)."""
    steps: np.ndarray
    """The optimizer step of each (N)."""
    rates: np.ndarray
    """The learning rate at each (N)."""
    validation_losses: np.ndarray
    """The validation split's loss at each evaluation; empty where the task has none."""
    validation_scores: np.ndarray
    """The score that chooses, at each evaluation, signed."""
    metric: str
    guess: float | None
    """The score of ignoring the input, signed; None where there is no such thing."""
    train: Score | None
    validation: Score | None
    predicted_share: float
    """The share of validation predictions that name the most predicted class; 0 without classes."""
    true_share: float
    """How often that class is right."""
    predicted: str
    """That class."""

    @property
    def way(self) -> np.ndarray:
        """How far learning had come at each row (N), from 0 to 1: the sum of the learning rates.

        Over steps, a schedule that ends at zero makes every curve flat at its end.
        """
        far = np.cumsum(self.rates * np.diff(self.steps, prepend=0.0))
        return far / far[-1]

    @property
    def skill(self) -> float | None:
        """How far the training score is on the way from guessing to perfect."""
        if self.train is None or self.guess is None or self.guess >= 1:
            return None
        return (self.train.value - self.guess) / (1 - self.guess)


def diagnose(
    metrics: Sequence[dict[str, Any]], results: dict[str, Any], config: dict[str, Any], file: str
) -> list[Finding]:
    """All faults that show, the gravest first; none for a healthy run.

    `file` is the config that commands shall name.
    """
    evidence = gather(metrics, results)
    looks = (_diverged, _collapsed, _overfitted, _cut_short, _underfitted, _plateaued)
    for look in looks:  # each speaks only of what those before it do not explain
        if (told := look(evidence)) is not None:
            fault, what = told
            return [Finding(fault, what, *_advise(fault, evidence, config, file))]
    return []


def diverged(error: str, config: dict[str, Any], file: str) -> Finding:
    """The finding for a run that stopped at a loss that is no number."""
    nothing = gather([], {})
    return Finding("diverged", error, *_advise("diverged", nothing, config, file))


def verdict(findings: Sequence[Finding]) -> str:
    """The gravest fault in a word, or `healthy`."""
    return findings[0].fault if findings else HEALTHY


def describe(diagnosis: dict[str, Any]) -> list[str]:
    """A diagnosis as results.json holds it, as lines for people."""
    if not diagnosis["findings"]:
        return [HEALTHY]
    found = [Finding(**finding) for finding in diagnosis["findings"]]
    return [line for each in found for line in (f"{each.fault}: {each.evidence}", each.next)]


# --- Reading -----------------------------------------------------------------


def gather(metrics: Sequence[dict[str, Any]], results: dict[str, Any]) -> Evidence:
    """The evidence in a run folder."""
    train = [row for row in metrics if row["split"] == "train" and "loss" in row]
    validation = [row for row in metrics if row["split"] == "validation"]
    metric = results.get("metric", "loss")
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    loss = "log_loss" if any("log_loss" in row for row in validation) else "loss"
    guess = results.get("baselines", {}).get("majority", {}).get(metric)
    predicted, predicted_share, true_share = _most_predicted(results.get("validation", {}))
    return Evidence(
        losses=_numbers(row["loss"] for row in train),
        steps=_numbers(row["step"] for row in train),
        rates=_numbers(row.get("learning_rate", 1.0) for row in train),
        validation_losses=_numbers(row[loss] for row in validation if loss in row),
        validation_scores=sign * _numbers(row[metric] for row in validation if metric in row),
        metric=metric,
        guess=sign * guess if guess is not None and sign > 0 else None,
        train=_score(results.get("train", {}), metric, sign),
        validation=_score(results.get("validation", {}), metric, sign),
        predicted_share=predicted_share,
        true_share=true_share,
        predicted=predicted,
    )


def _numbers(values: Any) -> np.ndarray:
    """JSON's null, which stands for what is not finite, becomes NaN."""
    return np.array([math.nan if value is None else float(value) for value in values])


def _score(scores: dict[str, Any], metric: str, sign: float) -> Score | None:
    interval = scores.get(f"{metric}_ci95")
    if interval is None or scores.get(metric) is None:
        return None
    low, high = sorted(sign * bound for bound in interval)
    return Score(sign * scores[metric], low, high)


def _most_predicted(scores: dict[str, Any]) -> tuple[str, float, float]:
    """(class, share of the predictions that name it, share of the truth that does)."""
    if "confusion" not in scores:
        return "", 0.0, 0.0
    confusion_KK = np.array(scores["confusion"], dtype=float)
    names = list(scores["per_class"])
    most = int(confusion_KK.sum(axis=0).argmax())
    total = confusion_KK.sum()
    return (
        names[most],
        float(confusion_KK[:, most].sum() / total),
        float(confusion_KK[most].sum() / total),
    )


# --- Looking -----------------------------------------------------------------

Told = tuple[Fault, str] | None


def _diverged(evidence: Evidence) -> Told:
    losses = evidence.losses
    if not np.isfinite(losses).all():
        return "diverged", "the training loss stopped being a number"
    if len(losses) < 3:
        return None
    start, smooth = _start(losses), smoothed(losses)
    peak, end = float(smooth.max()), _end(losses)
    if peak > _BLOWN_UP * start and end > start / _BLOWN_UP:
        step = int(evidence.steps[int(smooth.argmax())])
        return "diverged", (
            f"the training loss rose from {start:.3g} to {peak:.3g} at step {step} "
            f"and ended at {end:.3g}"
        )
    if end > start + _SURE * _spread(losses) and end > 1.2 * start:
        return "diverged", f"the training loss rose from {start:.3g} to {end:.3g}"
    return None


def _collapsed(evidence: Evidence) -> Told:
    if evidence.predicted_share < 0.98 or evidence.true_share >= evidence.predicted_share:
        return None
    if evidence.predicted_share < 1 and evidence.true_share > 0.9:
        return None  # most examples are of that class, and a few others were found
    if evidence.true_share < _UNBALANCED and not _has_moved(evidence.losses):
        return None  # a new head may well favour one class; nothing has been learned yet
    return "collapsed", (
        f"{evidence.predicted_share:.0%} of the predictions on validation say "
        f"'{evidence.predicted}', which {evidence.true_share:.0%} of the examples are"
    )


def _overfitted(evidence: Evidence) -> Told:
    train, validation = evidence.train, evidence.validation
    if train is None or validation is None:
        return None
    gap = train.value - validation.value
    error = math.hypot(train.error, validation.error)
    low, high = gap - 1.96 * error, gap + 1.96 * error
    losses = evidence.validation_losses
    risen = bool(len(losses) > 2 and losses[-1] > _RISEN * np.nanmin(losses))
    unit = evidence.guess is not None  # otherwise a loss, whose size has no meaning by itself
    scale = 1.0 if unit else abs(validation.value)
    enough = _GAP_WITH_RISING_LOSS if risen else _GAP
    if low <= 0 or gap < enough * scale:
        return None
    what = (
        f"{evidence.metric} is {abs(train.value):.3f} on training examples and "
        f"{abs(validation.value):.3f} on validation: a gap of {gap:.3f} [{low:.3f}, {high:.3f}]"
    )
    if risen:
        best = float(np.nanmin(losses))
        what += f"; the validation loss rose from {best:.3g} to {losses[-1]:.3g}"
    return "overfitted", what


def _cut_short(evidence: Evidence) -> Told:
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
    return "cut short", (
        f"the training loss was still falling: {min(fall / progress, 1):.0%} of its fall from "
        f"{_start(losses):.3g} to {end:.3g} came in the last third of the way"
    )


def _underfitted(evidence: Evidence) -> Told:
    train, guess, losses = evidence.train, evidence.guess, evidence.losses
    if train is None:
        return None
    if guess is not None:
        little, at_most = (guess + share * (1 - guess) for share in (_LITTLE, 2 * _LITTLE))
        if train.value >= little or train.high >= at_most:
            return None
        return "underfitted", (
            f"even on training examples {evidence.metric} is {train.value:.3f}; "
            f"ignoring the text gives {guess:.3f}"
        )
    if len(losses) < _FEW or _end(losses) < 0.9 * _start(losses):
        return None
    return "underfitted", (
        f"the training loss hardly fell, from {_start(losses):.3g} to {_end(losses):.3g}"
    )


def _plateaued(evidence: Evidence) -> Told:
    losses = evidence.losses
    if len(losses) < 2 * _FEW or _learned_enough(evidence):
        return None
    late = evidence.way > 1 / 3
    if late.sum() < _FEW:
        return None
    slope, error, end = _line(evidence.way[late], losses[late])
    then, progress = end - slope * 2 / 3, _start(losses) - end
    if -slope > max(2 * error, 0.1 * progress):
        return None
    step = int(evidence.steps[late][0])
    return "plateaued", (
        f"the training loss has not fallen since step {step} of {int(evidence.steps[-1])} "
        f"(then {then:.3g}, at the end {end:.3g})"
    )


def _learned_enough(evidence: Evidence) -> bool:
    return evidence.skill is not None and evidence.skill >= _MUCH


def _has_moved(losses: np.ndarray) -> bool:
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
    """The level before anything was learned: the first row, which is one step's, and its like."""
    return float(losses[: max(1, len(losses) // 20)].mean())


def _end(losses: np.ndarray) -> float:
    return float(losses[-max(2, len(losses) // 5) :].mean())


def _spread(losses: np.ndarray) -> float:
    """The scatter of rows around their course, from differences of neighbours."""
    return float(np.median(np.abs(np.diff(losses)))) / 0.954


def _line(way: np.ndarray, losses: np.ndarray) -> tuple[float, float, float]:
    """A straight line through losses: (its slope, the slope's standard error, its end)."""
    centre = way - way.mean()
    slope = float(centre @ losses / (centre @ centre))
    rest = losses - losses.mean() - slope * centre
    error = math.sqrt(float(rest @ rest) / max(len(losses) - 2, 1) / float(centre @ centre))
    return slope, error, float(losses.mean() + slope * centre[-1])


# --- Advising ----------------------------------------------------------------

_WHOLE = ("full", "gradual", "partial")
_UNBALANCED = 0.7


def _advise(fault: Fault, evidence: Evidence, config: dict[str, Any], file: str) -> tuple[str, str]:
    """(what to try, the command that tries it)."""
    training, strategy = config["training"], config["strategy"]["type"]
    if fault == "diverged":
        rate = training["learning_rate"]
        return (
            "a lower learning rate",
            _train(file, f"training.learning_rate={rate / 10:g}"),
        )
    if fault == "collapsed" and evidence.true_share > _UNBALANCED:
        return "weights that make up for the unbalanced classes", _train(
            file, "task.class_weights=auto"
        )
    if fault == "overfitted" and strategy in ("full", "gradual"):
        return "fewer weights that train", _train(file, "strategy=lora")
    if fault == "overfitted":
        return "stopping where validation is best, or more data", _train(
            file, "training.early_stopping_patience=2", "training.weight_decay=0.1"
        )
    if fault == "cut short":
        return "more epochs", _train(file, _longer(training))
    if fault == "underfitted" and strategy != "full":
        return "more weights that train", _train(
            file, "strategy=full", "training.learning_rate=auto"
        )
    return "another learning rate, which the range test finds", f"welltuned tune lr {file}"


def _longer(training: dict[str, Any]) -> str:
    """Twice the training."""
    if training["max_steps"] is not None:
        return f"training.max_steps={2 * training['max_steps']}"
    return f"training.num_train_epochs={2 * training['num_train_epochs']:g}"


def _train(file: str, *changes: str) -> str:
    return " ".join(["welltuned train", file, *changes, "output_dir=NEW_FOLDER"])
