"""Probe features: whole texts or single words, with their targets.

M is the number of things that are read, of which each belongs to one of N texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from welltuned.data.word_alignment import NONE
from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.features import pooled_states, word_states
from welltuned.evaluation.linear_probe import one_hot
from welltuned.tasks import ClassificationProblem, Examples, TokenClassificationProblem
from welltuned.tasks.token_classification import TaggedSentences


class ProbeFeatures(Protocol):
    """Examples of a task as a linear map reads them, and its answers as the task's outputs."""

    @property
    def text_M(self) -> np.ndarray:
        """Which text each thing belongs to, ascending."""
        ...

    @property
    def targets_MK(self) -> np.ndarray:
        """What the map shall say of each, in the units of the problem's outputs."""
        ...

    def features(self) -> np.ndarray:
        """What every block makes of each (L + 1, M, H)."""
        ...

    def outputs(self, answers_MK: np.ndarray, texts: Sequence[int] | np.ndarray) -> np.ndarray:
        """Answers about everything in some texts as the problem's outputs for them (N, …)."""
        ...

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """How right the outputs are, text by text (N); more is better."""
        ...


@dataclass(frozen=True)
class TextFeatures:
    """One answer a text: a class, several, or a number."""

    subject: EvalModel
    problem: ClassificationProblem
    pooling: str
    examples: Examples
    targets_MK: np.ndarray

    @classmethod
    def of(
        cls, subject: EvalModel, problem: ClassificationProblem, pooling: str, examples: Examples
    ) -> TextFeatures:
        targets, labels = examples.targets, problem.labels
        assert targets is not None
        if labels.problem == "regression":
            targets_MK = ((targets - labels.mean) / labels.deviation)[:, None]
        elif labels.problem == "multi_label":
            targets_MK = np.where(targets > 0.5, 1.0, -1.0)
        else:
            targets_MK = one_hot(targets, len(labels.names))
        return cls(subject, problem, pooling, examples, targets_MK)

    @property
    def text_M(self) -> np.ndarray:
        return np.arange(len(self.examples))

    def features(self) -> np.ndarray:
        subject = self.subject
        return pooled_states(
            subject.model,
            subject.anatomy,
            self.examples.encoded,
            subject.pad_id,
            self.pooling,
            subject.batch_size,
            subject.precision,
        )

    def outputs(self, answers_MK: np.ndarray, texts: Sequence[int] | np.ndarray) -> np.ndarray:
        return answers_MK[texts]

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        values, kind = self.problem.values(outputs), self.problem.labels.problem
        if kind == "regression":
            return -((values - targets) ** 2)
        if kind == "multi_label":
            return ((values > 0.5) == (targets > 0.5)).mean(axis=1)
        return (values.argmax(axis=1) == targets).astype(float)


@dataclass(frozen=True)
class WordFeatures:
    """One answer a word, read off its first token; words that the model does not see have none."""

    subject: EvalModel
    examples: TaggedSentences
    targets_MK: np.ndarray

    @classmethod
    def of(
        cls, subject: EvalModel, problem: TokenClassificationProblem, examples: TaggedSentences
    ) -> WordFeatures:
        assert examples.targets is not None
        pairs = zip(examples.targets, examples.first_tokens, strict=True)
        seen = np.concatenate([target_W[first_W != NONE] for target_W, first_W in pairs])
        return cls(subject, examples, one_hot(seen, len(problem.tags)))

    @property
    def _places(self) -> list[np.ndarray]:
        return [first_W[first_W != NONE] for first_W in self.examples.first_tokens]

    @property
    def text_M(self) -> np.ndarray:
        places = self._places
        return np.repeat(np.arange(len(places)), [len(place) for place in places])

    def features(self) -> np.ndarray:
        subject = self.subject
        return word_states(
            subject.model,
            subject.anatomy,
            self.examples.encoded,
            self._places,
            subject.pad_id,
            subject.batch_size,
            subject.precision,
        )

    def outputs(self, answers_MK: np.ndarray, texts: Sequence[int] | np.ndarray) -> np.ndarray:
        """(N, W, C): all zero where there is no word to answer for, and below zero elsewhere."""
        first = [self.examples.first_tokens[text] for text in texts]
        widest = max(len(first_W) for first_W in first)
        outputs_NWC = np.zeros((len(first), widest, answers_MK.shape[1]))
        answers_MK = answers_MK[np.isin(self.text_M, texts)]
        answers_MK = answers_MK - answers_MK.max(axis=1, keepdims=True) - 1
        start = 0
        for row, first_W in enumerate(first):
            words = np.flatnonzero(first_W != NONE)
            outputs_NWC[row, words] = answers_MK[start : start + len(words)]
            start += len(words)
        return outputs_NWC

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        said_NW = outputs.argmax(axis=-1)
        pairs = zip(said_NW, targets, strict=True)
        return np.array([(said_W[: len(t_W)] == t_W).mean() for said_W, t_W in pairs])
