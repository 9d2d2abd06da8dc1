"""Any number of labels to a text: binary cross-entropy for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import LabelSetPredictions, Predictions, Scores
from welltuned.runs.results_schema import RuleEffect
from welltuned.schema.messages import Message
from welltuned.tasks.base import OutputsOf
from welltuned.tasks.classification.decision_rule import AT_HALF, LabelSetRule
from welltuned.tasks.classification.focal import focal_losses
from welltuned.tasks.classification.labels import Labels, read_label_sets
from welltuned.tasks.classification.probabilities import label_probabilities
from welltuned.tasks.classification.problem import (
    ClassificationProblem,
    PooledObjective,
    TextCodec,
    count_facts,
    count_notes,
    labels_headline,
)
from welltuned.tasks.classification.rule_effect import effect_on_label_sets
from welltuned.tasks.classification.rule_reading import rule_notes
from welltuned.tasks.examples import Examples
from welltuned.tasks.label_flags import LabelFlags, SetFlags
from welltuned.tasks.long import recalled_long_texts
from welltuned.tasks.parts import LinearReadout, Presenter, Scorer, Verdict

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix
    from sklearn.multiclass import OneVsRestClassifier

    from welltuned.tasks.parts import Batch

_SURE = 10.0
"""Logits of a rule that ignores the text."""


@dataclass(frozen=True)
class MultiLabel(ClassificationProblem):
    """Any number of labels to a text."""

    class_weights: tuple[float, ...] | None = None
    """What each label's own texts weigh in its loss, beside the 1 of all others."""
    focal_gamma: float = 0.0
    rule: LabelSetRule = AT_HALF
    """How probabilities become labels."""

    @property
    def codec(self) -> LabelSetCodec:
        return LabelSetCodec(self.labelling, self.long, self.encoding, self.pair)

    @property
    def objective(self) -> BinaryCrossEntropy:
        weights, gamma = self.class_weights, self.focal_gamma
        return BinaryCrossEntropy(self.labelling, weights, gamma, long=self.long, pair=self.pair)

    @property
    def scorer(self) -> LabelSetScorer:
        return LabelSetScorer(self.labels, self.rule)

    @property
    def presenter(self) -> LabelSetPresenter:
        return LabelSetPresenter(self.labels, self.rule)

    @property
    def linear(self) -> LinearReadout:
        return LabelSetReadout()

    @property
    def label_flags(self) -> LabelFlags:
        return SetFlags(len(self.labels))

    @property
    def verdict(self) -> Verdict:
        return LabelOdds(self.labels)

    def facts(self, targets: Mapping[str, np.ndarray]) -> dict[str, object]:
        return count_facts(self.labelling, _counts(targets))

    def label_notes(self, targets: Mapping[str, np.ndarray]) -> list[Message]:
        notes = count_notes(self.labelling, _counts(targets))
        return notes + rule_notes(self.rule, self.labels, targets["validation"])

    def measured(self, outputs_of: OutputsOf) -> Self:
        """Settle the decision rule."""
        if self.rule == AT_HALF:
            return self
        return replace(self, rule=self.rule.fitted(*outputs_of("validation")))

    def without_rule(self) -> Self:
        return self if self.rule == AT_HALF else replace(self, rule=AT_HALF)

    @classmethod
    def restored(cls, labels: Labels, memory: Mapping[str, object]) -> Self:
        told: Any = memory.get("decision_rule", {})
        rule = LabelSetRule.from_dict(told, labels.names)
        return cls(labels, rule=rule, long=recalled_long_texts(memory))


def _counts(targets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {split: flags_NK.sum(axis=0).astype(int) for split, flags_NK in targets.items()}


@dataclass(frozen=True)
class LabelSetCodec(TextCodec):
    """Targets are flags (N, K, float32)."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return read_label_sets(self.labels, records, faults)


@dataclass(frozen=True)
class BinaryCrossEntropy(PooledObjective):
    """Summed over texts and labels, divided by the number of both, or the sum of their weights."""

    class_weights: tuple[float, ...] | None = None
    focal_gamma: float = 0.0

    problem_type: ClassVar[str] = "multi_label_classification"

    def count(self, batch: Batch) -> float:
        if self.class_weights is None:
            return super().count(batch)
        labels_BK = batch["labels"]
        return float((1 + labels_BK * (labels_BK.new_tensor(self.class_weights) - 1)).sum())

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        asked = self.class_weights
        weights_K = None if asked is None else outputs_BK.new_tensor(asked)
        if not self.focal_gamma:
            return functional.binary_cross_entropy_with_logits(
                outputs_BK, batch["labels"], reduction="sum", pos_weight=weights_K
            )
        signs_BK = 2 * batch["labels"] - 1
        losses_BK = focal_losses(functional.logsigmoid(signs_BK * outputs_BK), self.focal_gamma)
        if weights_K is not None:
            losses_BK = losses_BK * (1 + batch["labels"] * (weights_K - 1))
        return losses_BK.sum()

    @property
    def is_convex(self) -> bool:
        return not self.focal_gamma


@dataclass(frozen=True)
class LabelSetScorer(Scorer):
    """Of sigmoid probabilities, at a threshold of one half or at the rule's."""

    names: tuple[str, ...]
    rule: LabelSetRule = AT_HALF

    @property
    def family(self) -> type[Predictions]:
        return LabelSetPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> LabelSetPredictions:
        said_NK = self.rule.said(self.rule.probabilities(outputs_NK))
        return LabelSetPredictions(targets > 0.5, said_NK, self.names)

    @property
    def decision_rule(self) -> dict[str, JsonValue]:
        return self.rule.to_dict(self.names)

    def effect(self, outputs_NK: np.ndarray, targets: np.ndarray) -> RuleEffect:
        before = LabelSetScorer(self.names).read(outputs_NK, targets)
        return effect_on_label_sets(self.rule, outputs_NK, before)

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The labels of most training texts, whatever the text."""
        outputs_K = np.where(train_targets.mean(axis=0) > 0.5, _SURE, -_SURE)
        return LabelSetScorer(self.names).score(np.tile(outputs_K, (len(targets), 1)), targets)


class LabelSetAnswer(TypedDict):
    """One text's labels, and the probability of each there is."""

    prediction: list[str]
    probabilities: dict[str, float]


@dataclass(frozen=True)
class LabelSetPresenter(Presenter[np.ndarray]):
    """The labels that are likelier than the rule's thresholds, and the probability of each."""

    names: tuple[str, ...]
    rule: LabelSetRule = AT_HALF

    def headline(self, facts: Mapping[str, object]) -> str:
        return labels_headline("several", self.names)

    def describe(self, outputs_NK: np.ndarray) -> list[LabelSetAnswer]:
        rows: list[LabelSetAnswer] = []
        probabilities_NK = self.rule.probabilities(outputs_NK)
        said_NK = self.rule.said(probabilities_NK)
        for row_K, said_K in zip(probabilities_NK, said_NK, strict=True):
            named = zip(self.names, row_K, strict=True)
            rows.append(
                {
                    "prediction": self.target_of(said_K),
                    "probabilities": {name: round(float(p), 6) for name, p in named},
                }
            )
        return rows

    def target_of(self, target: np.ndarray) -> list[str]:
        return [name for name, flag in zip(self.names, target, strict=True) if flag]


@dataclass(frozen=True)
class LabelSetReadout(LinearReadout):
    """1 or -1 for each label; logistic regressions on word counts."""

    def targets(self, examples: Examples) -> np.ndarray:
        assert examples.targets is not None
        return np.where(examples.targets > 0.5, 1.0, -1.0)

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return ((label_probabilities(outputs) > 0.5) == (targets > 0.5)).mean(axis=1)

    def estimator(self, strength: float) -> OneVsRestClassifier:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        return OneVsRestClassifier(LogisticRegression(C=strength, max_iter=2000))

    def estimator_targets(self, targets: np.ndarray) -> np.ndarray:
        return targets.astype(np.int64)

    def estimator_outputs(self, estimator: OneVsRestClassifier, features: csr_matrix) -> np.ndarray:
        chances_NK = np.clip(estimator.predict_proba(features), 1e-9, 1 - 1e-9)
        return np.log(chances_NK / (1 - chances_NK))


@dataclass(frozen=True)
class LabelOdds(Verdict):
    """The log-odds of one label."""

    labels: tuple[str, ...]

    def rewards(self, outputs_NK: np.ndarray, label: int) -> np.ndarray:
        return outputs_NK.astype(np.float64)[:, label]
