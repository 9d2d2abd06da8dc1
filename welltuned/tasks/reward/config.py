"""The config of a reward model, and what it becomes when judgements are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from welltuned.data.layouts import preferences
from welltuned.data.layouts.preferences import RECORD_ROLES
from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults, Place
from welltuned.tasks import pairs
from welltuned.tasks.base import Task, is_smoothed
from welltuned.tasks.classification.regression import spread
from welltuned.tasks.long import TRUNCATE, AnyLongTexts, LongTexts, recalled_long_texts
from welltuned.tasks.responses import Form
from welltuned.tasks.reward.problem import RewardProblem, Source


class Reward(Task):
    """Reward model: trained on preferences (Bradley-Terry) or ratings (least squares)."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES

    type: Literal["reward"] = "reward"
    pooling: Literal["auto", "model", "first", "mean", "last"] = "auto"
    """Pooling of the head's input. auto: as the model was trained, else the mean of encoders and
    the last real token of decoders; model: the family's own head."""
    form: Form = "auto"
    """How decoders read prompt and response: through the chat template, or plain, one after
    the other. auto: through the template where the tokenizer has one."""
    center_rewards_coefficient: float = Field(default=0.01, ge=0)
    """For preferences: the weight of (r_chosen + r_rejected)² in the loss, for they fix
    rewards only up to a constant (Eisenstein et al. 2023, arXiv 2312.09244)."""
    center_rewards: bool = True
    """For preferences: subtract the mean reward of the training data from the saved model's
    rewards."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens of prompt and response together. auto: the model's limit, at most 512. The beginning
    of the prompt is truncated first."""
    long: AnyLongTexts = TRUNCATE
    """What is read where prompt and response are longer than `max_length`: what is left of both,
    both ends of each, or all of it in windows, which go over the longer of the two."""

    @property
    def cutting(self) -> LongTexts:
        return self.long

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return preferences.convert_preferences(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> RewardProblem | None:
        if is_smoothed(label_smoothing, faults):
            return None
        kinds = {split: _kind(data[split]) for split in SPLITS}
        if len(set(kinds.values())) > 1:
            told = ", ".join(f"{split} has {kind}" for split, kind in kinds.items())
            faults.add(
                "task.mixed_judgements",
                "the splits hold judgements of different kinds: {kinds}",
                Place(data.test.source),
                "use the same kind of judgement in all splits",
                kinds=told,
            )
            return None
        form = pairs.form_of(self.form, data, faults)
        if form is None:
            return None
        source: Source = "preferences" if "pairs" in data.train else "ratings"
        problem = RewardProblem(
            source,
            by_itself=data.train["prompt"][0] is None,
            form=form,
            coefficient=self.center_rewards_coefficient,
            centred=self.center_rewards,
            long=self.long,
        )
        return _fitted(problem, data, faults)

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> RewardProblem:
        fields = {name: value for name, value in memory.items() if name not in ("type", "long")}
        return RewardProblem(**fields, long=recalled_long_texts(memory))


def _kind(records: Records) -> str:
    alone = records["prompt"][0] is None
    return (
        "preferences" if "pairs" in records else f"ratings of {'texts' if alone else 'responses'}"
    )


def _fitted(problem: RewardProblem, data: DataSplits, faults: Faults) -> RewardProblem | None:
    """The problem with the scale of its ratings; what is known of the judgements is noted."""
    if problem.source == "preferences":
        data.facts.task = {"problem": "preferences", **pairs.facts_of(data)}
        return problem
    scores = {split: np.array(data[split]["score"], dtype=np.float64) for split in SPLITS}
    train = scores["train"]
    if train.std() == 0:
        faults.add(
            "task.scores_all_equal",
            "all scores are {score:g}",
            data.train.place(0),
            "give scores that differ",
            score=float(train[0]),
        )
        return None
    targets = {split: spread(found) for split, found in scores.items()}
    data.facts.task = {"problem": "ratings", "targets": targets}
    return replace(problem, scale=float(train.std()), shift=float(train.mean()))
