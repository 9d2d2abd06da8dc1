"""How rewards are judged: do they order pairs as people did, or come near to ratings?"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from welltuned.metrics import NumberPredictions, PairPredictions, Predictions, Scores, score
from welltuned.metrics.regression import rank_correlation
from welltuned.tasks import pairs
from welltuned.tasks.parts import Scorer


@dataclass(frozen=True)
class RewardScale:
    """A reward is what the head says times `factor`, plus `shift`."""

    factor: float = 1.0
    shift: float = 0.0

    def values(self, outputs_NW: np.ndarray) -> np.ndarray:
        """Rewards (N, W) of each prompt's responses; what is beyond them means nothing."""
        return outputs_NW.astype(np.float64) * self.factor + self.shift

    def rewards(self, outputs_NW: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
        """The rewards of each prompt's own responses."""
        return own_responses(self.values(outputs_NW), targets)


def own_responses(outputs_NW: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """What was put out for each prompt's own responses, without what is beyond them."""
    both = zip(outputs_NW, targets, strict=True)
    return [outputs_W[: len(target.lengths_K)] for outputs_W, target in both]


@dataclass(frozen=True)
class RewardScorer(Scorer):
    """Judges pairs where there are any, and else ratings, whichever were learned."""

    scale: RewardScale

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> Predictions:
        rewards = self.scale.rewards(outputs_NK, targets)
        if any(target.pairs for target in targets):
            return pairs.predictions(rewards, targets)
        ratings_N = np.array([target.score for target in targets])
        return NumberPredictions(ratings_N, np.concatenate(rewards))

    def score(self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False) -> Scores:
        predictions = self.read(outputs_NK, targets)
        if isinstance(predictions, NumberPredictions):
            return self.score_ratings(predictions, targets, intervals)
        return score(predictions, intervals)

    @abstractmethod
    def score_ratings(
        self, predictions: NumberPredictions, targets: np.ndarray, intervals: bool
    ) -> Scores:
        """Rewards beside ratings."""

    def constant(self, reward: float, targets: np.ndarray) -> Scores:
        """The scores of giving every response the same reward."""
        width = max(len(target.lengths_K) for target in targets)
        output = (reward - self.scale.shift) / self.scale.factor
        return self.score(np.full((len(targets), width), output), targets)


class PreferenceScorer(RewardScorer):
    """Of rewards that were learned from pairs."""

    @property
    def family(self) -> type[Predictions]:
        # A few hundred pairs rank checkpoints by their loss better than by what it counts.
        return PairPredictions

    def score_ratings(
        self, predictions: NumberPredictions, targets: np.ndarray, intervals: bool
    ) -> Scores:
        """Rewards are in units of their own, so that only their order can be compared."""
        spearman = next(m for m in predictions.metrics if m.name == "spearman")
        return {spearman.name: spearman.value(predictions)}

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        return self.constant(0.0, targets)

    def baselines(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Scores]:
        """Also: the longer response is the better one."""
        found = super().baselines(train_targets, targets)
        return found | {"longer": pairs.longer_wins(targets)}


class RatingScorer(RewardScorer):
    """Of rewards that were learned from ratings, in the units of these."""

    @property
    def family(self) -> type[Predictions]:
        return NumberPredictions

    def score_ratings(
        self, predictions: NumberPredictions, targets: np.ndarray, intervals: bool
    ) -> Scores:
        lengths_N = np.concatenate([target.lengths_K for target in targets])
        correlation = rank_correlation(lengths_N, predictions.said_N)
        return {**score(predictions, intervals), "length_correlation": correlation}

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The mean of the training ratings."""
        return self.constant(float(np.mean([t.score for t in train_targets])), targets)
