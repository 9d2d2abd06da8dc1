"""Reward models: a score for a response to a prompt, learned from preferences or from ratings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypedDict

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.tasks import pairs
from welltuned.tasks.base import OutputsOf, Problem
from welltuned.tasks.examples import Examples
from welltuned.tasks.grouped import ResponseTarget
from welltuned.tasks.long import TRUNCATE, LongTexts, long_texts_memory
from welltuned.tasks.parts import Presenter, Verdict
from welltuned.tasks.responses import Form
from welltuned.tasks.reward.codec import JudgedCodec
from welltuned.tasks.reward.objective import BradleyTerry, RatingSquares, RewardObjective
from welltuned.tasks.reward.scorer import (
    PreferenceScorer,
    RatingScorer,
    RewardScale,
    RewardScorer,
    own_responses,
)

if TYPE_CHECKING:
    from torch import nn

Source = Literal["preferences", "ratings"]


@dataclass(frozen=True)
class RewardProblem(Problem):
    """Rewards from preferences or ratings.

    A reward is what the head says times `scale`, plus `shift`: for ratings the user's units,
    for preferences the distance from the mean.
    """

    source: Source
    by_itself: bool = False
    """Whether texts are judged without a prompt."""
    form: Form = "auto"
    coefficient: float = 0.0
    centred: bool = True
    scale: float = 1.0
    shift: float = 0.0
    long: LongTexts = field(default=TRUNCATE, kw_only=True)
    """What is read of long prompts and responses."""

    type: ClassVar[str] = "reward"
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"
    supports_replay: ClassVar[bool] = False
    usage: ClassVar[str] = 'rewards(["a prompt"], ["a response"])'

    @property
    def from_pairs(self) -> bool:
        return self.source == "preferences"

    @property
    def units(self) -> RewardScale:
        """Of rewards, beside what the head says."""
        return RewardScale(self.scale, self.shift)

    @property
    def codec(self) -> JudgedCodec:
        return JudgedCodec(self.by_itself, self.form, self.long)

    @property
    def objective(self) -> RewardObjective:
        if self.from_pairs:
            return BradleyTerry(self.coefficient, long=self.long)
        return RatingSquares(self.scale, self.shift, long=self.long)

    @property
    def scorer(self) -> RewardScorer:
        return PreferenceScorer(self.units) if self.from_pairs else RatingScorer(self.units)

    @property
    def presenter(self) -> RewardPresenter:
        return PairPresenter(self.units) if self.from_pairs else RatingPresenter(self.units)

    @property
    def verdict(self) -> Verdict:
        return RewardVerdict(self.units)

    def measured(self, outputs_of: OutputsOf) -> RewardProblem:
        """For preferences: where the mean of all training responses is to be taken off."""
        if not (self.from_pairs and self.centred):
            return self
        rewards = own_responses(*outputs_of("train"))
        return replace(self, shift=-float(np.concatenate(rewards).mean()))

    def finish(self, model: nn.Module) -> RewardProblem:
        """Fold scale and shift into the head's last layer."""
        from welltuned.models.scalar_head import fold, scalar_layer

        fold(scalar_layer(model, 1 + len(self.long.further_outputs)), self.scale, self.shift)
        return replace(self, scale=1.0, shift=0.0)

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "type": self.type,
            "source": self.source,
            "by_itself": self.by_itself,
            "form": self.form,
            "scale": self.scale,
            "shift": self.shift,
            **long_texts_memory(self.long),
        }


class RewardAnswer(TypedDict):
    """The reward of a response, or of each where a prompt has several."""

    prediction: float | list[float]


@dataclass(frozen=True)
class RewardPresenter(Presenter[ResponseTarget]):
    """Rewards of responses."""

    units: RewardScale

    label: ClassVar[str] = "judged"

    def describe(self, outputs_NK: np.ndarray) -> list[RewardAnswer]:
        return [{"prediction": float(row[0])} for row in self.units.values(outputs_NK)]

    def answers(self, outputs_NK: np.ndarray, records: Records) -> list[RewardAnswer]:
        """The reward of a record's response; a list of rewards where it has several."""
        found: list[RewardAnswer] = []
        for rewards_W, said in zip(
            self.units.values(outputs_NK), records["responses"], strict=True
        ):
            rewards = [float(reward) for reward in rewards_W[: len(said)]]
            found.append({"prediction": rewards if len(said) > 1 else rewards[0]})
        return found

    def target_of(self, target: ResponseTarget) -> str | float | None:
        return pairs.target_in_words(target)

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        said = records["responses"][index]
        if records["prompt"][index] is None:
            return {"text": said[0]}
        answer = {"response": said[0]} if len(said) == 1 else {"responses": said}
        return {"prompt": records["prompt"][index], **answer}

    def lines(self, records: Records, index: int) -> list[str]:
        return pairs.lines(records, index)


class PairPresenter(RewardPresenter):
    """One row a pair."""

    def headline(self, facts: Mapping[str, Any]) -> str:
        return f"rewards from {facts['pairs']['train']:,} preferences"

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        assert examples.targets is not None
        rewards = self.units.rewards(outputs_NK, examples.targets)
        return pairs.rows(rewards, examples.targets, examples.records, texts)


class RatingPresenter(RewardPresenter):
    """One row a rating."""

    def headline(self, facts: Mapping[str, object]) -> str:
        return "rewards from ratings"

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        records, targets = examples.records, examples.targets
        assert targets is not None
        rewards = self.units.rewards(outputs_NK, targets)
        for i, (reward_K, target) in enumerate(zip(rewards, targets, strict=True)):
            row = {"id": records.id(i), "label": target.score, "prediction": float(reward_K[0])}
            yield {**row, **self.shown(records, i)}


@dataclass(frozen=True)
class RewardVerdict(Verdict):
    """The reward itself, of a response to its prompt."""

    units: RewardScale

    reads_prompts: ClassVar[bool] = True

    def rewards(self, outputs_NK: np.ndarray, label: int) -> np.ndarray:
        return self.units.values(outputs_NK)[:, 0]
