"""What a decision rule changes: every score of the same outputs without it and with it."""

from __future__ import annotations

import numpy as np

from welltuned.metrics import ClassPredictions, LabelSetPredictions, Statistic
from welltuned.metrics.base import mean_of, ratio
from welltuned.metrics.calibration import calibration_statistic
from welltuned.metrics.paired import paired_change
from welltuned.runs.results_schema import Change, RuleEffect
from welltuned.tasks.classification.decision_rule import AT_HALF, ClassRule, LabelSetRule

_LEAST = 1e-15
"""No probability counts as less, so that no loss is infinite."""


def effect_on_classes(
    rule: ClassRule, before: ClassPredictions, after: ClassPredictions
) -> RuleEffect:
    """Of one label a text, by predictions without the rule and with it.

    With `abstain_below` also how many texts have an answer, and how many of these are right.
    """
    scores = _metrics(before, after)
    if rule.costs_KK is not None:
        costs = (mean_of(rule.losses(one.true_N, one.said_N)) for one in (before, after))
        scores["mean_cost"] = paired_change(*costs)
    if rule.abstain_below is None:
        return {"scores": scores}
    answered_N = ~rule.abstains(after.probabilities_NK)
    right_N = after.true_N == after.said_N
    parts_N2 = np.stack([answered_N & right_N, answered_N], axis=1).astype(np.float64)
    of_all, of_answered = mean_of(right_N.astype(np.float64)), Statistic(parts_N2, ratio)
    scores["answered_accuracy"] = paired_change(of_all, of_answered)
    return {"scores": scores, "coverage": float(answered_N.mean())}


def effect_on_label_sets(
    rule: LabelSetRule, outputs_NK: np.ndarray, before: LabelSetPredictions
) -> RuleEffect:
    """Of several labels a text; calibration and log loss are those of single labels."""
    true_NK = before.true_NK
    chances = [one.probabilities(outputs_NK) for one in (AT_HALF, rule)]
    after = LabelSetPredictions(true_NK, rule.said(chances[1]), before.names)
    scores = _metrics(before, after)
    scores["calibration_error"] = paired_change(
        *(calibration_statistic(chances_NK, true_NK) for chances_NK in chances)
    )
    scores["log_loss"] = paired_change(*(_log_loss(true_NK, one) for one in chances))
    if rule.costs_K2 is not None:
        costs = (mean_of(rule.losses(true_NK, one.said_NK)) for one in (before, after))
        scores["mean_cost"] = paired_change(*costs)
    return {"scores": scores}


def _metrics(
    before: ClassPredictions | LabelSetPredictions, after: ClassPredictions | LabelSetPredictions
) -> dict[str, Change]:
    """All metrics of the family that are sums over examples."""
    changes = {}
    for metric in before.metrics:
        pair = [metric.statistic(before), metric.statistic(after)]
        if pair[0] is not None and pair[1] is not None:
            changes[metric.name] = paired_change(pair[0], pair[1])
    return changes


def _log_loss(true_NK: np.ndarray, chances_NK: np.ndarray) -> Statistic:
    right_NK = np.where(true_NK, chances_NK, 1 - chances_NK)
    return mean_of(-np.log(np.maximum(right_NK, _LEAST)).mean(axis=1))
