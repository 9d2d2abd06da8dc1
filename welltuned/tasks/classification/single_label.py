"""One label to a text: cross-entropy over a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NotRequired, Self, TypedDict

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import ClassPredictions, Predictions, Scores
from welltuned.runs.results_schema import RuleEffect
from welltuned.schema.messages import Message
from welltuned.tasks.base import Actions, OutputsOf
from welltuned.tasks.classification.decision_rule import LIKELIEST, ClassRule
from welltuned.tasks.classification.focal import focal_losses
from welltuned.tasks.classification.labels import Labels, read_classes
from welltuned.tasks.classification.probabilities import class_probabilities
from welltuned.tasks.classification.problem import (
    ClassificationProblem,
    PooledObjective,
    TextCodec,
    count_facts,
    count_notes,
    labels_headline,
)
from welltuned.tasks.classification.rule_effect import effect_on_classes
from welltuned.tasks.examples import Examples
from welltuned.tasks.label_flags import ClassFlags, LabelFlags
from welltuned.tasks.long import recalled_long_texts
from welltuned.tasks.parts import LinearReadout, Presenter, Scorer, Verdict, one_hot

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    from welltuned.tasks.parts import Batch

_NEVER = -30.0
"""The log-probability of a class that a linear model has not seen."""


@dataclass(frozen=True)
class SingleLabel(ClassificationProblem):
    """One label to a text."""

    class_weights: tuple[float, ...] | None = None
    """Weights of the classes in the loss."""
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    rule: ClassRule = LIKELIEST
    """How probabilities become an answer."""

    actions: ClassVar[Actions | None] = "label"

    @property
    def codec(self) -> ClassCodec:
        return ClassCodec(self.labelling, self.long, self.encoding, self.pair)

    @property
    def objective(self) -> CrossEntropy:
        weights, smoothing, gamma = self.class_weights, self.label_smoothing, self.focal_gamma
        return CrossEntropy(
            self.labelling, weights, smoothing, gamma, long=self.long, pair=self.pair
        )

    @property
    def scorer(self) -> ClassScorer:
        return ClassScorer(self.labels, self.rule)

    @property
    def presenter(self) -> ClassPresenter:
        return ClassPresenter(self.labels, self.rule)

    @property
    def linear(self) -> LinearReadout:
        return ClassReadout(self.labels)

    @property
    def label_flags(self) -> LabelFlags:
        return ClassFlags(len(self.labels))

    @property
    def verdict(self) -> Verdict:
        return ClassOdds(self.labels)

    def facts(self, targets: Mapping[str, np.ndarray]) -> dict[str, object]:
        return count_facts(self.labelling, self._counts(targets))

    def label_notes(self, targets: Mapping[str, np.ndarray]) -> list[Message]:
        return count_notes(self.labelling, self._counts(targets))

    def _counts(self, targets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        number = len(self.labels)
        return {split: np.bincount(rows, minlength=number) for split, rows in targets.items()}

    def measured(self, outputs_of: OutputsOf) -> Self:
        """Settle the decision rule."""
        if not self.rule.scales:
            return self
        return replace(self, rule=self.rule.fitted(*outputs_of("validation")))

    def without_rule(self) -> Self:
        return self if self.rule == LIKELIEST else replace(self, rule=LIKELIEST)

    @classmethod
    def restored(cls, labels: Labels, memory: Mapping[str, object]) -> Self:
        told: Any = memory.get("decision_rule", {})
        rule = ClassRule.from_dict(told, labels.names)
        return cls(labels, rule=rule, long=recalled_long_texts(memory))


@dataclass(frozen=True)
class ClassCodec(TextCodec):
    """Targets are class numbers (N, int64)."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return read_classes(self.labels, records, faults)


@dataclass(frozen=True)
class CrossEntropy(PooledObjective):
    """Weighted by class, smoothed or focal, where asked for; divided by the sum of the weights."""

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0

    problem_type: ClassVar[str] = "single_label_classification"

    def count(self, batch: Batch) -> float:
        if self.class_weights is None:
            return super().count(batch)
        import torch

        labels = batch["labels"]
        return float(labels.new_tensor(self.class_weights, dtype=torch.float32)[labels].sum())

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        weights = self.class_weights
        if self.focal_gamma:
            return self._focal_sum(outputs_BK, batch["labels"])
        return functional.cross_entropy(
            outputs_BK,
            batch["labels"],
            weight=None if weights is None else outputs_BK.new_tensor(weights),
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def _focal_sum(self, outputs_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        log_chances_B = outputs_BK.log_softmax(dim=1).gather(1, labels_B[:, None])[:, 0]
        losses_B = focal_losses(log_chances_B, self.focal_gamma)
        if self.class_weights is not None:
            losses_B = losses_B * outputs_BK.new_tensor(self.class_weights)[labels_B]
        return losses_B.sum()

    @property
    def is_convex(self) -> bool:
        return not self.focal_gamma


@dataclass(frozen=True)
class ClassScorer(Scorer):
    """Of softmax probabilities."""

    names: tuple[str, ...]
    rule: ClassRule = LIKELIEST

    @property
    def family(self) -> type[Predictions]:
        return ClassPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> ClassPredictions:
        probabilities_NK = self.rule.probabilities(outputs_NK)
        said_N = self.rule.said(probabilities_NK)
        return ClassPredictions(targets, said_N, probabilities_NK, self.names)

    @property
    def decision_rule(self) -> dict[str, JsonValue]:
        return self.rule.to_dict(self.names)

    def effect(self, outputs_NK: np.ndarray, targets: np.ndarray) -> RuleEffect:
        before = ClassScorer(self.names).read(outputs_NK, targets)
        return effect_on_classes(self.rule, before, self.read(outputs_NK, targets))

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The frequencies of the classes in train, whatever the text."""
        counts_K = np.bincount(train_targets, minlength=len(self.names))
        outputs_K = np.log(counts_K / len(train_targets) + 1e-12)
        return ClassScorer(self.names).score(np.tile(outputs_K, (len(targets), 1)), targets)


class ClassAnswer(TypedDict):
    """One text's class, and the probability of each by name."""

    prediction: str
    probabilities: dict[str, float]
    abstained: NotRequired[bool]
    """Where the model is not sure enough: what it would have said is no answer."""


@dataclass(frozen=True)
class ClassPresenter(Presenter[np.int64]):
    """The class that the rule says, and the probability of each."""

    names: tuple[str, ...]
    rule: ClassRule = LIKELIEST

    def headline(self, facts: Mapping[str, object]) -> str:
        return labels_headline("one", self.names)

    def describe(self, outputs_NK: np.ndarray) -> list[ClassAnswer]:
        probabilities_NK = self.rule.probabilities(outputs_NK)
        said_N, abstains_N = self.rule.said(probabilities_NK), self.rule.abstains(probabilities_NK)
        return [
            self._answer(row_K, int(said), bool(abstains))
            for row_K, said, abstains in zip(probabilities_NK, said_N, abstains_N, strict=True)
        ]

    def _answer(self, probabilities_K: np.ndarray, said: int, abstains: bool) -> ClassAnswer:
        named = zip(self.names, probabilities_K, strict=True)
        answer: ClassAnswer = {
            "prediction": self.names[said],
            "probabilities": {name: round(float(p), 6) for name, p in named},
        }
        if abstains:
            answer["abstained"] = True
        return answer

    def target_of(self, target: np.int64) -> str:
        return self.names[int(target)]


@dataclass(frozen=True)
class ClassReadout(LinearReadout):
    """Plus one for a text's class, minus one for the others; logistic regression on counts."""

    names: tuple[str, ...]

    def targets(self, examples: Examples) -> np.ndarray:
        assert examples.targets is not None
        return one_hot(examples.targets, len(self.names))

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (class_probabilities(outputs).argmax(axis=1) == targets).astype(float)

    def estimator(self, strength: float) -> LogisticRegression:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=strength, max_iter=2000)

    def estimator_targets(self, targets: np.ndarray) -> np.ndarray:
        return targets.astype(np.int64)

    def estimator_outputs(self, estimator: LogisticRegression, features: csr_matrix) -> np.ndarray:
        outputs_NK = np.full((features.shape[0], len(self.names)), _NEVER)
        outputs_NK[:, estimator.classes_] = estimator.predict_log_proba(features)
        return outputs_NK


@dataclass(frozen=True)
class ClassOdds(Verdict):
    """The log-odds of one class against all others."""

    labels: tuple[str, ...]

    def rewards(self, outputs_NK: np.ndarray, label: int) -> np.ndarray:
        logits_NK = outputs_NK.astype(np.float64)
        others_NJ = np.delete(logits_NK, label, axis=1)
        return logits_NK[:, label] - np.logaddexp.reduce(others_NJ, axis=1)
