"""Decision rules as a config asks for them, checked against the labels that data have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from welltuned.errors import Faults
from welltuned.schema.messages import Message, message
from welltuned.tasks.classification.decision_rule import ERRORS, ClassRule, LabelSetRule
from welltuned.tasks.classification.thresholds import FEWEST, HALF, too_few

Costs = Mapping[str, Mapping[str, float]]
_USUAL = 1.0
"""What an error costs that is not named."""


def read_class_rule(
    names: tuple[str, ...],
    scales: bool,
    costs: Costs,
    abstain_below: float | None,
    faults: Faults,
) -> ClassRule:
    """Of one label a text. What does not fit the labels is recorded as a fault."""
    _refuse_unknown({*costs, *(said for row in costs.values() for said in row)}, names, faults)
    if abstain_below is not None and abstain_below <= 1 / len(names):
        faults.add(
            "task.abstain_below_never",
            "'task.abstain_below' is {given:g}, but the likeliest of {number} labels never has a "
            "probability below {least:.3g}",
            None,
            "raise it above that, or remove it",
            given=abstain_below,
            number=len(names),
            least=1 / len(names),
        )
    costs_KK = tuple(
        tuple(costs.get(true, {}).get(said, 0.0 if said == true else _USUAL) for said in names)
        for true in names
    )
    return ClassRule(scales, costs_KK=costs_KK if costs else None, abstain_below=abstain_below)


def read_label_set_rule(
    names: tuple[str, ...],
    scales: bool,
    thresholds: str | Mapping[str, float],
    costs: Costs,
    faults: Faults,
) -> LabelSetRule:
    """Of several labels a text. What does not fit the labels is recorded as a fault."""
    costs_K2 = _costs_of_errors(costs, names, faults) if costs else None
    if thresholds == "half":
        return LabelSetRule(scales, costs_K2=costs_K2)
    if not isinstance(thresholds, Mapping):
        return LabelSetRule(scales, aim="f1" if thresholds == "f1" else "costs", costs_K2=costs_K2)
    if differing := set(names) ^ set(thresholds):
        faults.add(
            "task.thresholds_differ_from_labels",
            "'task.thresholds' and the labels differ in {differing}",
            None,
            "give a threshold for each of: {labels}",
            differing=sorted(differing),
            labels=", ".join(names),
        )
    stated_K = tuple(thresholds.get(name, HALF) for name in names)
    return LabelSetRule(scales, aim="stated", thresholds_K=stated_K, costs_K2=costs_K2)


def _costs_of_errors(
    costs: Costs, names: tuple[str, ...], faults: Faults
) -> tuple[tuple[float, float], ...]:
    """(false negative, false positive) of each label."""
    _refuse_unknown({*costs}, names, faults)
    if wrong := {kind for row in costs.values() for kind in row} - set(ERRORS):
        faults.add(
            "task.costs_not_of_errors",
            "'task.costs' of several labels are those of {errors} of a label, and not of {wrong}",
            None,
            "write {{LABEL: {{false_negative: 5, false_positive: 1}}}}",
            errors=" and ".join(ERRORS),
            wrong=sorted(wrong),
        )
    rows = {name: costs.get(name, {}) for name in names}
    found = {name: tuple(row.get(kind, _USUAL) for kind in ERRORS) for name, row in rows.items()}
    if free := [name for name, pair in found.items() if not any(pair)]:
        faults.add(
            "task.costs_all_zero",
            "'task.costs': no error of '{label}' costs anything",
            None,
            "give one of {errors} a cost above 0",
            label=free[0],
            errors=" and ".join(ERRORS),
        )
    return tuple((missed, alarm) for missed, alarm in found.values())


def _refuse_unknown(named: set[str], names: tuple[str, ...], faults: Faults) -> None:
    if unknown := sorted(named - set(names)):
        faults.add(
            "task.costs_differ_from_labels",
            "'task.costs' names {unknown}, which are no labels",
            None,
            "labels are: {labels}",
            unknown=unknown,
            labels=", ".join(names),
        )


def rule_notes(
    rule: LabelSetRule, names: tuple[str, ...], validation_NK: np.ndarray
) -> list[Message]:
    """What a person should know before thresholds are tuned on these flags."""
    few = [name for name, few in zip(names, too_few(validation_NK > HALF), strict=True) if few]
    if not few or rule.aim not in ("f1", "costs"):
        return []
    known: dict[str, object] = {"labels": ", ".join(few), "fewest": FEWEST}
    if rule.aim == "costs":
        told = message(
            "task.thresholds_from_costs",
            "Fewer than {fewest} validation examples have these labels, or lack them, so that "
            "their thresholds follow from task.costs alone: {labels}.",
            **known,
        )
    else:
        told = message(
            "task.thresholds_shared",
            "Fewer than {fewest} validation examples have these labels, or lack them, so that "
            "they share one threshold: {labels}.",
            **known,
        )
    return [told]
