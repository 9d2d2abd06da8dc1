"""Any number of labels to a text: binary cross-entropy for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypedDict

import numpy as np

from welltuned.data.records import Records
from welltuned.errors import Faults
from welltuned.metrics import LabelSetPredictions, Predictions, Scores
from welltuned.schema.messages import Message
from welltuned.tasks.classification.labels import read_label_sets
from welltuned.tasks.classification.problem import (
    ClassificationProblem,
    PooledObjective,
    TextCodec,
    count_facts,
    count_notes,
    labels_headline,
)
from welltuned.tasks.examples import Examples
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

    @property
    def codec(self) -> LabelSetCodec:
        return LabelSetCodec(self.labelling)

    @property
    def objective(self) -> BinaryCrossEntropy:
        return BinaryCrossEntropy(self.labelling)

    @property
    def scorer(self) -> LabelSetScorer:
        return LabelSetScorer(self.labels)

    @property
    def presenter(self) -> LabelSetPresenter:
        return LabelSetPresenter(self.labels)

    @property
    def linear(self) -> LinearReadout:
        return LabelSetReadout()

    @property
    def verdict(self) -> Verdict:
        return LabelOdds(self.labels)

    def facts(self, targets: Mapping[str, np.ndarray]) -> dict[str, object]:
        return count_facts(self.labelling, _counts(targets))

    def label_notes(self, targets: Mapping[str, np.ndarray]) -> list[Message]:
        return count_notes(self.labelling, _counts(targets))


def _counts(targets: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {split: flags_NK.sum(axis=0).astype(int) for split, flags_NK in targets.items()}


@dataclass(frozen=True)
class LabelSetCodec(TextCodec):
    """Targets are flags (N, K, float32)."""

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return read_label_sets(self.labels, records, faults)


@dataclass(frozen=True)
class BinaryCrossEntropy(PooledObjective):
    """Summed over texts and labels, divided by the number of both."""

    problem_type: ClassVar[str] = "multi_label_classification"

    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        return functional.binary_cross_entropy_with_logits(
            outputs_BK, batch["labels"], reduction="sum"
        )


@dataclass(frozen=True)
class LabelSetScorer(Scorer):
    """Of sigmoid probabilities, at a threshold of one half."""

    names: tuple[str, ...]

    @property
    def family(self) -> type[Predictions]:
        return LabelSetPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> LabelSetPredictions:
        return LabelSetPredictions.of(targets, label_probabilities(outputs_NK), self.names)

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The labels of most training texts, whatever the text."""
        outputs_K = np.where(train_targets.mean(axis=0) > 0.5, _SURE, -_SURE)
        return self.score(np.tile(outputs_K, (len(targets), 1)), targets)


def label_probabilities(outputs_NK: np.ndarray) -> np.ndarray:
    """The sigmoid (N, K, float64) of logits."""
    return 1 / (1 + np.exp(-outputs_NK.astype(np.float64)))


class LabelSetAnswer(TypedDict):
    """One text's labels, and the probability of each there is."""

    prediction: list[str]
    probabilities: dict[str, float]


@dataclass(frozen=True)
class LabelSetPresenter(Presenter[np.ndarray]):
    """The labels that are likelier than not, and the probability of each."""

    names: tuple[str, ...]

    def headline(self, facts: Mapping[str, object]) -> str:
        return labels_headline("several", self.names)

    def describe(self, outputs_NK: np.ndarray) -> list[LabelSetAnswer]:
        rows: list[LabelSetAnswer] = []
        for row_K in label_probabilities(outputs_NK):
            named = list(zip(self.names, row_K, strict=True))
            rows.append(
                {
                    "prediction": [name for name, p in named if p > 0.5],
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
