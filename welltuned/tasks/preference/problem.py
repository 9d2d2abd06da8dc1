"""Direct preference optimisation: a generator learns from compared answers, without a reward model.

The reward is implicit: how much likelier a response has become than it was for the untuned
model, times beta (Rafailov et al. 2023, arXiv 2305.18290), or how likely it is. What the untuned
model makes of every response is noted once, before the first step, where the loss compares with
it. What results is an ordinary generator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from welltuned.data.records import Records
from welltuned.metrics import PairPredictions, Predictions, Scores
from welltuned.tasks import pairs
from welltuned.tasks.direct_alignment import DirectAlignmentProblem
from welltuned.tasks.examples import Examples
from welltuned.tasks.grouped import ResponseTarget
from welltuned.tasks.parts import Presenter, Scorer
from welltuned.tasks.preference.codec import ComparedCodec
from welltuned.tasks.preference.losses import PairLoss
from welltuned.tasks.preference.objective import PreferenceObjective

if TYPE_CHECKING:
    from welltuned.tasks.preference.config import Preference


@dataclass(frozen=True)
class PreferenceProblem(DirectAlignmentProblem):
    """Direct preference optimisation, with the form of examples known."""

    config: Preference

    type: ClassVar[str] = "preference"

    @property
    def codec(self) -> ComparedCodec:
        plain = self.generation("plain").codec
        return ComparedCodec(self.form, plain, self.config.pair_loss.needs_reference)

    @property
    def objective(self) -> PreferenceObjective:
        return PreferenceObjective(self.config.pair_loss)

    @property
    def scorer(self) -> ImplicitRewardScorer:
        return ImplicitRewardScorer(self.config.pair_loss)

    @property
    def presenter(self) -> ImplicitRewardPresenter:
        return ImplicitRewardPresenter(self.config.pair_loss)


def implicit_rewards(
    pair_loss: PairLoss, outputs_NW: np.ndarray, targets: np.ndarray
) -> list[np.ndarray]:
    """For each prompt, of each response (K): how likely it is, or how much likelier it became."""
    compares = pair_loss.needs_reference
    return [
        pair_loss.rewards(
            logprobs_W[: len(target.lengths_K)] - (target.reference_K if compares else 0.0)
        )
        for logprobs_W, target in zip(outputs_NW, targets, strict=True)
    ]


@dataclass(frozen=True)
class ImplicitRewardScorer(Scorer):
    """How implicit rewards order pairs."""

    pair_loss: PairLoss

    @property
    def family(self) -> type[Predictions]:
        return PairPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> PairPredictions:
        """Their own means too: both may fall, for all that is asked is that the gap grows."""
        rewards = implicit_rewards(self.pair_loss, outputs_NK, targets)
        return pairs.predictions(rewards, targets, pairs.means(rewards, targets))

    def baselines(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Scores]:
        """The longer response; and the one that the untuned model finds likelier, if it was asked.

        Where it was not, that is what the scores of the untuned model say.
        """
        rules: dict[str, Scores] = {"longer": pairs.longer_wins(targets)}
        if self.pair_loss.needs_reference:
            likelier = [target.reference_K for target in targets]
            rules["likelier"] = {"pair_accuracy": pairs.accuracy(likelier, targets)}
        return rules


@dataclass(frozen=True)
class ImplicitRewardPresenter(Presenter[ResponseTarget]):
    """One row a pair; a prompt that was answered has its answer in its first."""

    pair_loss: PairLoss

    label: ClassVar[str] = "judged"

    def headline(self, facts: Mapping[str, Any]) -> str:
        return f"direct preference over {facts['pairs']['train']:,} pairs"

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, float]]:
        return [{"logprob": float(row[0])} for row in outputs_NK]

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        assert examples.targets is not None
        rewards = implicit_rewards(self.pair_loss, outputs_NK, examples.targets)
        return pairs.rows(rewards, examples.targets, examples.records, texts)

    def target_of(self, target: ResponseTarget) -> str | float | None:
        return pairs.target_in_words(target)

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        return {"prompt": records["prompt"][index], "responses": records["responses"][index]}

    def lines(self, records: Records, index: int) -> list[str]:
        return pairs.lines(records, index)
