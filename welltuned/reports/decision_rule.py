"""The decision rule in a run's report: what it is, what it changed, and what abstaining would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from welltuned.metrics import Predictions, Rows
from welltuned.metrics.risk_coverage import RiskCoverage, risk_coverage
from welltuned.reports.charts import FIRST, SECOND, drawn
from welltuned.reports.page import metric_name
from welltuned.reports.translations import Translator
from welltuned.runs.results_schema import DecisionRuleRecord, RuleEffect, RunResults

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)
"""Shares of the examples of which the table tells the risk."""


def decision_rule_content(
    results: RunResults, judged: str, rows: Rows, family: type[Predictions], _: Translator
) -> dict[str, object] | None:
    """What the page shows of it; None where there is no rule, and nothing to abstain from."""
    rule = results.get("decision_rule")
    selects = family.has_confidence and not family.are_pairs and bool(rows)
    if rule is None and not selects:
        return None
    content: dict[str, object] = {"sentences": [], "changes": [], "thresholds": {}, "risk": None}
    if rule is not None:
        content["sentences"] = list(_sentences(rule, judged, _))
        content["changes"] = list(_changes(rule["effect"][judged], _))
        content["thresholds"] = rule.get("thresholds", {})
    if selects:
        costs = rule.get("costs") if rule else None
        least = rule.get("abstain_below") if rule else None
        curve = risk_coverage(*_confidence_and_loss(rows, costs))
        loss = _("mean cost of what is answered") if costs else _("share wrong of what is answered")
        content["risk"] = {
            "chart": _chart(curve, least, loss, _),
            "loss": loss,
            "points": list(_points(curve)),
        }
    return content


def _sentences(rule: DecisionRuleRecord, judged: str, _: Translator) -> Iterator[str]:
    if (temperature := rule.get("temperature")) == 1:
        yield _(
            "Validation shows no temperature that is better than 1, so logits stay as they are."
        )
    elif temperature is not None:
        yield _(
            "Logits are divided by a temperature of {temperature}, fitted on validation.",
            temperature=f"{temperature:.3g}",
        )
    if (aim := rule.get("thresholds_for")) is not None:
        yield {
            "f1": _("Each label has a threshold, tuned on validation for its F1."),
            "costs": _("Each label has a threshold, tuned on validation for the least cost."),
            "stated": _("Each label has the threshold that the config gives it."),
        }[aim]
    elif "costs" in rule:
        yield _("The answer is the class of the least expected cost.")
    if (least := rule.get("abstain_below")) is not None:
        coverage = rule["effect"][judged].get("coverage", 1.0)
        yield _(
            "Where the likeliest class has a probability below {least} there is no answer: "
            "{share} of the examples are answered.",
            least=f"{least:g}",
            share=f"{100 * coverage:.1f}%",
        )


def _changes(effect: RuleEffect, _: Translator) -> Iterator[dict[str, object]]:
    """Each score without the rule and with it."""
    names = {"mean_cost": _("mean cost"), "answered_accuracy": _("accuracy of what is answered")}
    for name, change in effect["scores"].items():
        low, high = change["difference_ci95"]
        known = {"name": names.get(name) or _(metric_name(name)), "low": low, "high": high}
        yield {**known, "before": change["before"], "after": change["after"]}


def _confidence_and_loss(
    rows: Rows, costs: Mapping[str, Mapping[str, float]] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Of each answer (N): the probability of the likeliest class, and the error or its cost."""
    confidence_N = np.array([max(row["probabilities"].values()) for row in rows])
    pairs = [(row["label"], row["prediction"]) for row in rows]
    losses = [costs[true][said] if costs else float(true != said) for true, said in pairs]
    return confidence_N, np.array(losses)


def _points(curve: RiskCoverage) -> Iterator[dict[str, float]]:
    for i in dict.fromkeys(curve.at_least(coverage) for coverage in _COVERAGES):
        yield {
            "coverage": float(curve.coverage_P[i]),
            "least": float(curve.confidence_P[i]),
            "risk": float(curve.risk_P[i]),
        }


def _chart(curve: RiskCoverage, least: float | None, loss: str, _: Translator) -> Markup:
    """The line from the surest answers to all of them; upright, where the rule abstains."""

    def draw(figure: Figure) -> None:
        axis = figure.subplots()
        axis.plot(curve.coverage_P, curve.risk_P, color=FIRST)
        if least is not None:
            answered = curve.coverage_P[curve.confidence_P >= least].max(initial=0.0)
            axis.axvline(answered, color=SECOND, linewidth=1.2)
        axis.set(xlim=(0, 1.02), xlabel=_("share answered"), ylabel=loss)
        axis.set_ylim(bottom=0)

    return drawn(draw, (3.6, 3.4), _("Risk by coverage"))
