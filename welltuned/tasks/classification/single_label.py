"""One label to a text: cross-entropy over a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypedDict

import numpy as np

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import ClassPredictions, Predictions, Scores
from welltuned.schema.messages import Message
from welltuned.tasks.base import Actions
from welltuned.tasks.classification.labels import read_classes
from welltuned.tasks.classification.problem import (
    ClassificationProblem,
    PooledObjective,
    TextCodec,
    count_facts,
    count_notes,
    labels_headline,
)
from welltuned.tasks.examples import Examples
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

    actions: ClassVar[Actions | None] = "label"

    @property
    def codec(self) -> ClassCodec:
        return ClassCodec(self.labelling)

    @property
    def objective(self) -> CrossEntropy:
        return CrossEntropy(self.labelling, self.class_weights, self.label_smoothing)

    @property
    def scorer(self) -> ClassScorer:
        return ClassScorer(self.labels)

    @property
    def presenter(self) -> ClassPresenter:
        return ClassPresenter(self.labels)

    @property
    def linear(self) -> LinearReadout:
        return ClassReadout(self.labels)

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


@dataclass(frozen=True)
class ClassCodec(TextCodec):
    """Targets are class numbers (N, int64)."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return read_classes(self.labels, records, faults)


@dataclass(frozen=True)
class CrossEntropy(PooledObjective):
    """Weighted by class and smoothed, where asked for; divided by the sum of the weights."""

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

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
        return functional.cross_entropy(
            outputs_BK,
            batch["labels"],
            weight=None if weights is None else outputs_BK.new_tensor(weights),
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )


@dataclass(frozen=True)
class ClassScorer(Scorer):
    """Of softmax probabilities."""

    names: tuple[str, ...]

    @property
    def family(self) -> type[Predictions]:
        return ClassPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> ClassPredictions:
        return ClassPredictions.of(targets, class_probabilities(outputs_NK), self.names)

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The frequencies of the classes in train, whatever the text."""
        counts_K = np.bincount(train_targets, minlength=len(self.names))
        outputs_K = np.log(counts_K / len(train_targets) + 1e-12)
        return self.score(np.tile(outputs_K, (len(targets), 1)), targets)


def class_probabilities(outputs_NK: np.ndarray) -> np.ndarray:
    """The softmax (N, K, float64) of logits."""
    outputs_NK = outputs_NK.astype(np.float64)
    exponents_NK = np.exp(outputs_NK - outputs_NK.max(axis=1, keepdims=True))
    return exponents_NK / exponents_NK.sum(axis=1, keepdims=True)


class ClassAnswer(TypedDict):
    """One text's class, and the probability of each by name."""

    prediction: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class ClassPresenter(Presenter[np.int64]):
    """The likeliest class, and the probability of each."""

    names: tuple[str, ...]

    def headline(self, facts: Mapping[str, object]) -> str:
        return labels_headline("one", self.names)

    def describe(self, outputs_NK: np.ndarray) -> list[ClassAnswer]:
        return [
            {
                "prediction": self.names[int(row_K.argmax())],
                "probabilities": {
                    name: round(float(p), 6) for name, p in zip(self.names, row_K, strict=True)
                },
            }
            for row_K in class_probabilities(outputs_NK)
        ]

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
