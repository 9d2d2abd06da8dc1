"""KTO: a generator learns from answers that were called good or bad, one by one.

As in direct preference optimisation the reward is implicit: how much likelier an answer has become
than it was for the untuned model, times beta. A good one gains by a reward above, a bad one by
one below what the model gives to answers in general, which is its divergence from the untuned one
(Ethayarajh et al. 2024, arXiv 2402.01306). What results is an ordinary generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.records import Records
from welltuned.metrics import ClassPredictions, Predictions, Scores, score
from welltuned.metrics.preferences import sigmoid
from welltuned.tasks.direct_alignment import DirectAlignmentProblem
from welltuned.tasks.examples import Examples
from welltuned.tasks.grouped import ResponseTarget
from welltuned.tasks.kto.codec import ThumbCodec
from welltuned.tasks.kto.objective import KtoObjective
from welltuned.tasks.parts import Presenter, Scorer

if TYPE_CHECKING:
    from welltuned.tasks.kto.config import Kto

LABELS = ("false", "true")
"""Thumbs down and thumbs up, as data have them."""


@dataclass(frozen=True)
class KtoProblem(DirectAlignmentProblem):
    """Learning from thumbs, with the form of examples and the weights of both kinds known."""

    config: Kto
    desirable_weight: float
    undesirable_weight: float

    type: ClassVar[str] = "kto"

    @property
    def codec(self) -> ThumbCodec:
        return ThumbCodec(self.form, self.generation("plain").codec)

    @property
    def objective(self) -> KtoObjective:
        return KtoObjective(self.config.beta, self.desirable_weight, self.undesirable_weight)

    @property
    def scorer(self) -> ThumbScorer:
        return ThumbScorer(self.config.beta)

    @property
    def presenter(self) -> ThumbPresenter:
        return ThumbPresenter(self.config.beta)


@dataclass(frozen=True)
class ThumbPredictions(ClassPredictions):
    """Which answers are called good, and what is known of their rewards."""

    rest: Scores = field(default_factory=dict)

    def details(self) -> Scores:
        return {**super().details(), **self.rest}


@dataclass(frozen=True)
class ImplicitThumbs:
    """What a model makes of N answers by its implicit rewards."""

    rewards_N: np.ndarray
    baseline: float
    """β times the divergence: the reward of answers in general."""

    @classmethod
    def of(cls, beta: float, outputs_N2: np.ndarray, targets: np.ndarray) -> ImplicitThumbs:
        """From log-probabilities of each record's answer, and of one to another prompt."""
        references_N2 = np.stack([target.reference_K for target in targets])
        gains_N2 = outputs_N2.astype(np.float64) - references_N2
        return cls(beta * gains_N2[:, 0], beta * max(0.0, float(gains_N2[:, 1].mean())))

    @property
    def probabilities_N2(self) -> np.ndarray:
        """How likely each answer is a bad one, and a good one: σ(r − z), as in the loss."""
        good_N = sigmoid(self.rewards_N - self.baseline)
        return np.stack([1 - good_N, good_N], axis=1)


@dataclass(frozen=True)
class ThumbScorer(Scorer):
    """Whether good answers can be told from bad ones by their implicit rewards."""

    beta: float

    @property
    def family(self) -> type[Predictions]:
        return ClassPredictions

    @property
    def default_metric(self) -> str:
        return "log_loss"

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> ThumbPredictions:
        """With what is known of rewards, wherever their baseline lies."""
        found, true_N = ImplicitThumbs.of(self.beta, outputs_NK, targets), _thumbs(targets)
        rest = {"kl": found.baseline / self.beta, **_of_rewards(found.rewards_N, true_N)}
        chances_N2 = found.probabilities_N2
        return ThumbPredictions(true_N, chances_N2.argmax(axis=1), chances_N2, LABELS, rest)

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The share of good answers in train, whatever the answer."""
        good = float(_thumbs(train_targets).mean())
        chances_N2 = np.tile([1 - good, good], (len(targets), 1))
        return score(ClassPredictions.of(_thumbs(targets), chances_N2, LABELS))


def _of_rewards(rewards_N: np.ndarray, true_N: np.ndarray) -> Scores:
    """The mean of either kind, both of which may fall, and whether good answers are ahead.

    `auc` is the chance that a good answer has a higher reward than a bad one; nothing is told
    where one of both kinds is missing.
    """
    good_U, bad_D = rewards_N[true_N == 1], np.sort(rewards_N[true_N == 0])
    if not (len(good_U) and len(bad_D)):
        return {}
    below_U, up_to_U = (np.searchsorted(bad_D, good_U, side) for side in ("left", "right"))
    return {
        "chosen_reward": float(good_U.mean()),
        "rejected_reward": float(bad_D.mean()),
        "auc": float((below_U + up_to_U).mean() / (2 * len(bad_D))),  # equal ones are half right
    }


def _thumbs(targets: np.ndarray) -> np.ndarray:
    """1 for thumbs up, 0 for thumbs down (N)."""
    return np.array([int(target.score) for target in targets])


@dataclass(frozen=True)
class ThumbPresenter(Presenter[ResponseTarget]):
    """One row an answer; a prompt that was answered anew has that answer beside it."""

    beta: float

    label: ClassVar[str] = "thumb"

    def headline(self, facts: Mapping[str, Any]) -> str:
        counts = facts["counts"]["train"]
        return f"KTO over {counts[LABELS[1]]:,} good and {counts[LABELS[0]]:,} bad answers"

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, float]]:
        return [{"logprob": float(row[0])} for row in outputs_NK]

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        records, targets = examples.records, examples.targets
        assert targets is not None
        found = ImplicitThumbs.of(self.beta, outputs_NK, targets)
        for i, chances_2 in enumerate(found.probabilities_N2):
            label = self.target_of(targets[i])
            row: dict[str, object] = {
                "id": records.id(i),
                "label": label,
                "prediction": LABELS[int(chances_2.argmax())],
                "probabilities": {
                    name: round(float(chance), 6)
                    for name, chance in zip(LABELS, chances_2, strict=True)
                },
                "reward": float(found.rewards_N[i]),
                **self.shown(records, i),
            }
            answers = {name: told[i] for name, told in texts.items() if i in told}
            if answers:
                good = records["responses"][i][0] if label == LABELS[1] else ""
                row |= {"prompt": records["prompt"][i], "reference": good, **answers}
            yield row

    def target_of(self, target: ResponseTarget) -> str:
        assert target.score is not None
        return LABELS[int(target.score)]

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        return {"text": records["prompt"][index], "text_pair": records["responses"][index][0]}

    def lines(self, records: Records, index: int) -> list[str]:
        return [records["prompt"][index], f"response: {records['responses'][index][0]}"]
