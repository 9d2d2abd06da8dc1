"""Decision rules: how the logits of classes, or of labels, become an answer, or none.

A rule is asked for in the config and settled by `fitted`, on validation, once training is over. An
artifact holds it by the names of its labels (`to_dict`), and every prediction goes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from pydantic import JsonValue

from welltuned.tasks.classification.probabilities import (
    SIGMOID,
    SOFTMAX,
    class_probabilities,
    label_probabilities,
)
from welltuned.tasks.classification.temperature import fit_temperature
from welltuned.tasks.classification.thresholds import HALF, cost_thresholds, f1_thresholds

Aim = Literal["half", "f1", "costs", "stated"]
"""What thresholds are for."""
ERRORS = ("false_negative", "false_positive")
"""What can be wrong about a label."""
Names = tuple[str, ...]
Told = Mapping[str, Any]
"""A rule as JSON holds it."""


@dataclass(frozen=True)
class ClassRule:
    """Of one label a text. Without anything asked for, the likeliest class is the answer."""

    scales: bool = False
    """Whether a temperature is to be fitted."""
    temperature: float = 1.0
    costs_KK: tuple[tuple[float, ...], ...] | None = None
    """What it costs to predict a class (column) where another is true (row)."""
    abstain_below: float | None = None
    """The probability of the likeliest class below which there is no answer."""

    def fitted(self, outputs_NK: np.ndarray, targets_N: np.ndarray) -> Self:
        """The rule with its temperature, from outputs and classes of validation."""
        if not self.scales:
            return self
        true_NK = np.eye(outputs_NK.shape[1])[targets_N]
        return replace(self, temperature=fit_temperature(outputs_NK, true_NK, SOFTMAX))

    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        """(N, K, float64)"""
        return class_probabilities(_cooled(outputs_NK, self.temperature))

    def said(self, probabilities_NK: np.ndarray) -> np.ndarray:
        """The classes (N): the likeliest, or those of the least expected cost (Elkan 2001)."""
        if self.costs_KK is None:
            return probabilities_NK.argmax(axis=1)
        return (probabilities_NK @ np.array(self.costs_KK)).argmin(axis=1)

    def abstains(self, probabilities_NK: np.ndarray) -> np.ndarray:
        """Where no answer is sure enough (N, bool)."""
        return probabilities_NK.max(axis=1) < (self.abstain_below or 0.0)

    def losses(self, true_N: np.ndarray, said_N: np.ndarray) -> np.ndarray:
        """What each answer costs (N): 1 for a wrong one where no costs are given."""
        if self.costs_KK is None:
            return (true_N != said_N).astype(np.float64)
        return np.array(self.costs_KK)[true_N, said_N]

    def to_dict(self, names: Names) -> dict[str, JsonValue]:
        """By the names of the classes; empty where the likeliest class is all there is to it."""
        told: dict[str, Any] = {}
        if self.scales:
            told["temperature"] = self.temperature
        if self.costs_KK is not None:
            told["costs"] = {
                true: dict(zip(names, row_K, strict=True))
                for true, row_K in zip(names, self.costs_KK, strict=True)
            }
        if self.abstain_below is not None:
            told["abstain_below"] = self.abstain_below
        return told

    @classmethod
    def from_dict(cls, told: Told, names: Names) -> Self:
        """What `to_dict` wrote. Raises `KeyError` where it is of other classes."""
        costs = told.get("costs")
        return cls(
            "temperature" in told,
            float(told.get("temperature", 1.0)),
            costs and tuple(tuple(float(costs[i][j]) for j in names) for i in names),
            told.get("abstain_below"),
        )


LIKELIEST = ClassRule()


@dataclass(frozen=True)
class LabelSetRule:
    """Of several labels a text. Without anything asked for, all thresholds are one half."""

    scales: bool = False
    """Whether a temperature is to be fitted."""
    temperature: float = 1.0
    aim: Aim = "half"
    thresholds_K: tuple[float, ...] | None = None
    """The probabilities above which labels are predicted; None before they are tuned."""
    costs_K2: tuple[tuple[float, float], ...] | None = None
    """What a false negative and a false positive of each label cost."""

    def fitted(self, outputs_NK: np.ndarray, targets_NK: np.ndarray) -> Self:
        """The rule with its temperature and thresholds, from outputs and flags of validation."""
        true_NK, rule = targets_NK > HALF, self
        if self.scales:
            temperature = fit_temperature(outputs_NK, true_NK, SIGMOID)
            rule = replace(rule, temperature=temperature)
        probabilities_NK = rule.probabilities(outputs_NK)
        if self.aim == "f1":
            return replace(rule, thresholds_K=f1_thresholds(probabilities_NK, true_NK))
        if self.aim == "costs":
            assert self.costs_K2 is not None
            tuned_K = cost_thresholds(probabilities_NK, true_NK, self.costs_K2)
            return replace(rule, thresholds_K=tuned_K)
        return rule

    def probabilities(self, outputs_NK: np.ndarray) -> np.ndarray:
        """(N, K, float64)"""
        return label_probabilities(_cooled(outputs_NK, self.temperature))

    def said(self, probabilities_NK: np.ndarray) -> np.ndarray:
        """Which labels are predicted (N, K, bool)."""
        return probabilities_NK > np.array(self.thresholds_K or HALF)

    def losses(self, true_NK: np.ndarray, said_NK: np.ndarray) -> np.ndarray:
        """What the errors of each text cost (N), all labels together."""
        costs_K2 = self.costs_K2 or ((1.0, 1.0),) * true_NK.shape[1]
        missed_K, alarm_K = np.array(costs_K2).T
        return (true_NK & ~said_NK) @ missed_K + (said_NK & ~true_NK) @ alarm_K

    def to_dict(self, names: Names) -> dict[str, JsonValue]:
        """By the names of the labels; empty where one half is all there is to it."""
        told: dict[str, Any] = {}
        if self.scales:
            told["temperature"] = self.temperature
        if self.aim != "half":
            thresholds_K = self.thresholds_K or (HALF,) * len(names)
            told["thresholds"] = dict(zip(names, thresholds_K, strict=True))
            told["thresholds_for"] = self.aim
        if self.costs_K2 is not None:
            told["costs"] = {
                name: dict(zip(ERRORS, costs_2, strict=True))
                for name, costs_2 in zip(names, self.costs_K2, strict=True)
            }
        return told

    @classmethod
    def from_dict(cls, told: Told, names: Names) -> Self:
        """What `to_dict` wrote. Raises `KeyError` where it is of other labels."""
        thresholds, costs = told.get("thresholds"), told.get("costs")
        return cls(
            "temperature" in told,
            float(told.get("temperature", 1.0)),
            told.get("thresholds_for", "half"),
            thresholds and tuple(float(thresholds[name]) for name in names),
            costs and tuple((costs[name][ERRORS[0]], costs[name][ERRORS[1]]) for name in names),
        )


AT_HALF = LabelSetRule()


def _cooled(outputs_NK: np.ndarray, temperature: float) -> np.ndarray:
    return outputs_NK.astype(np.float64) / temperature
