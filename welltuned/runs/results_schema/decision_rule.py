"""The decision rule: how probabilities became answers, and what that changed."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from welltuned.runs.results_schema.fields import CLOSED, Number


@with_config(CLOSED)
class Change(TypedDict):
    """A score of the same outputs without the rule and with it."""

    before: Number
    """Without it: the likeliest class, or labels of more than one half."""
    after: Number
    """With it."""
    difference_ci95: list[Number]
    """The 95% interval of after less before, from resamples of the examples of both."""


@with_config(CLOSED)
class RuleEffect(TypedDict):
    """What the rule changes on one split."""

    scores: dict[str, Change]
    """By name: the metrics of the task; `calibration_error` and `log_loss`; where costs are given
    `mean_cost`, of an example; and with `abstain_below` `answered_accuracy`, of those answered."""
    coverage: NotRequired[Number]
    """With `abstain_below`: the share of examples that have an answer."""


@with_config(CLOSED)
class DecisionRuleRecord(TypedDict):
    """How probabilities become answers; the same stands in the artifact."""

    temperature: NotRequired[Number]
    """What logits are divided by; 1 where validation does not show that another is better."""
    thresholds: NotRequired[dict[str, Number]]
    """Of several labels: the probability above which each is predicted."""
    thresholds_for: NotRequired[Literal["f1", "costs", "stated"]]
    """What thresholds were tuned for on validation, or that they were given."""
    costs: NotRequired[dict[str, dict[str, Number]]]
    """Costs of errors: by true label and predicted label, or by label and kind of error."""
    abstain_below: NotRequired[Number]
    """The probability of the likeliest class below which there is no answer."""
    effect: dict[str, RuleEffect]
    """What it changed, by split: on validation, which settled it, and on the split that is
    judged."""


@with_config(CLOSED)
class Ruled(TypedDict):
    """Answers that are more than the likeliest."""

    decision_rule: NotRequired[DecisionRuleRecord]
    """How probabilities became answers, where a run asks for more than the likeliest."""
