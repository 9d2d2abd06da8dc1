"""Reward models: score a response to a prompt, learned from preferences or ratings."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from welltuned.data import preferences
from welltuned.data.load_splits import DataSplits
from welltuned.data.preference_rows import prompt_text
from welltuned.data.preferences import RECORD_ROLES
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.tasks import pairs, responses
from welltuned.tasks.base import Examples, Problem, Task, Trained
from welltuned.tasks.classification import ClassificationProblem
from welltuned.tasks.labels import Labels
from welltuned.tasks.responses import Form, Grouped

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Kind
    from welltuned.models.loading import Head, Pooling
    from welltuned.tasks.base import Batch

_JOINT = "\n"
_REGRESSION = ClassificationProblem(Labels("regression", ("reward",), ("reward",)))
"""The problem whose model a reward model is: one number for a text or a pair of texts."""


class Reward(Task):
    """Score responses, from preferences (Bradley-Terry) or ratings (least squares)."""

    roles: ClassVar[tuple[Role, ...]] = RECORD_ROLES

    type: Literal["reward"] = "reward"
    pooling: Literal["auto", "model", "first", "mean", "last"] = "auto"
    """What the head reads. auto: as the model was trained, else the mean of encoders and the
    last real token of decoders; model: the family's own head."""
    form: Form = "auto"
    """How decoders read prompt and response: through the chat template, or plain, one after
    the other. auto: through the template where the tokenizer has one."""
    center_rewards_coefficient: float = Field(default=0.01, ge=0)
    """For preferences: the weight of (r_chosen + r_rejected)² in the loss, for they fix
    rewards only up to a constant (Eisenstein et al. 2023, arXiv 2312.09244)."""
    center_rewards: bool = True
    """For preferences: take the mean over the training data off the saved model's rewards."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens of prompt and response together. auto: what the model takes, at most 512.
    The beginning of the prompt is cut first."""

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return preferences.convert_preferences(table, columns, faults)

    def bind(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> RewardProblem | None:
        if label_smoothing:
            what = "'training.label_smoothing_factor' goes with classification"
            faults.add(what, None, "set it to 0")
            return None
        kinds = {split: _kind(data[split]) for split in SPLITS}
        if len(set(kinds.values())) > 1:
            told = ", ".join(f"{split} has {kind}" for split, kind in kinds.items())
            what = f"the splits hold judgements of different kinds: {told}"
            faults.add(what, Place(data.test.source), "give one kind in all splits")
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
        )
        return _fitted(problem, data, faults)


Source = Literal["preferences", "ratings"]


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
        what = f"all scores are {train[0]:g}"
        faults.add(what, data.train.place(0), "give scores that differ")
        return None
    data.facts.task = {
        "problem": "ratings",
        "targets": {
            split: {
                "mean": float(found.mean()),
                "deviation": float(found.std()),
                "least": float(found.min()),
                "greatest": float(found.max()),
            }
            for split, found in scores.items()
        },
    }
    return replace(problem, scale=float(train.std()), shift=float(train.mean()))


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

    type: ClassVar[str] = "reward"
    task: ClassVar[builtins.type[Task]] = Reward
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"
    supports_replay: ClassVar[bool] = False

    asked: ClassVar[str] = 'rewards(["a prompt"], ["a response"])'

    @property
    def default_metric(self) -> str:  # type: ignore[override]
        # A few hundred pairs rank checkpoints by their loss better than by what it counts.
        return "log_loss" if self.source == "preferences" else "r2"

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        if self.source == "preferences":
            return "pair_accuracy", "margin", "log_loss", "calibration_error"
        return "r2", "mae", "rmse", "spearman"

    # --- The model ---

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from welltuned.models.anatomy import kind_of

        if pooling == "model" and kind_of(base) == "decoder":
            # They look for padding by its id, and would take a real end token for it.
            what = f"the own head of '{base.model_type}' does not read the last real token"
            raise InputError(Fault(what, None, "use task.pooling=last"))
        return _REGRESSION.head(base, pooling)

    def usual_pooling(self, kind: Kind) -> Pooling:
        return "mean" if kind == "encoder" else "last"

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        from welltuned.models.scalar_head import start_small

        start_small(model, new, seed)

    def measured(self, trained: Callable[[], Trained]) -> RewardProblem:
        """For preferences: where the mean of all training responses is to be taken off."""
        if self.source == "ratings" or not self.centred:
            return self
        return replace(self, shift=-float(np.concatenate(_flat(*trained())).mean()))

    def finish(self, model: nn.Module) -> RewardProblem:
        """Fold scale and shift into the head's last layer."""
        from welltuned.models.scalar_head import fold, scalar_layer

        fold(scalar_layer(model), self.scale, self.shift)
        return replace(self, scale=1.0, shift=0.0)

    # --- Data ---

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """As the task does, but responses without judgements will do."""
        converted = preferences.convert_preferences(table, columns, faults, answers=False)
        if len(converted) and not self.by_itself and converted.columns["prompt"][0] is None:
            what = "no column was found for prompt, and responses are judged with their prompts"
            remedy = f"add data.columns.prompt=NAME; the file has: {', '.join(table.columns)}"
            faults.add(what, Place(table.source, 1), remedy)
        return converted

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Pairs of a prompt (a text or a list of messages) and a response; or texts."""
        given = [(None, one) if isinstance(one, str) else tuple(one) for one in inputs]
        if not self.by_itself and any(prompt is None for prompt, _ in given):
            what = "responses are judged with their prompts, and a prompt is missing"
            remedy = "give pairs of prompt and response; on the line, with a tab between"
            raise InputError(Fault(what, None, remedy))
        asked = [None if prompt is None else prompt_text(prompt) for prompt, _ in given]
        columns: dict[str, list[Any]] = {
            "text": [said for _, said in given],
            "prompt": asked,
            "messages": [None if isinstance(prompt, str) else prompt for prompt, _ in given],
            "responses": [[said] for _, said in given],
        }
        return Records("texts", columns, list(range(1, len(given) + 1)), ("text",))

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Grouped:
        """One row a response. Targets are what is known of each prompt's: `Judged`."""
        records = _joined(records) if self.by_itself else records
        return responses.encode_responses(
            tokenizer, records, max_length, self.form, _JOINT, progress=progress
        )

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        return responses.collate(examples, indices, pad_id)

    def notes(self, examples: Examples) -> list[str]:
        return pairs.notes(examples)

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        return pairs.read(records, faults)

    # --- Learning ---

    def count(self, batch: Batch) -> float:
        if self.source == "ratings":
            return float(len(batch["scores"]))
        return float(batch["weights"].sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        rewards_R = self._read(model, batch)
        if self.source == "ratings":
            wanted_R = (batch["scores"] - self.shift) / self.scale
            return functional.mse_loss(rewards_R, wanted_R, reduction="sum")
        better_Q, worse_Q = rewards_R[batch["pairs"]].T
        losses_Q = bradley_terry(better_Q - worse_Q - batch["margins"])
        if self.coefficient:
            losses_Q = losses_Q + self.coefficient * (better_Q + worse_Q).square()
        return (batch["weights"] * losses_Q).sum()

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What the head says of each prompt's responses (B, W); 0 where there is none."""
        return responses.in_grid(self._read(model, batch), batch["grid"])

    def _read(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """One number a row (R, float32)."""
        names = ("input_ids", "attention_mask", "token_type_ids")
        inputs = {name: batch[name] for name in names if name in batch}
        return responses.read_rows(lambda rows: model(**rows).logits.float()[:, 0], inputs)

    # --- Judging ---

    def values(self, outputs_NW: np.ndarray) -> np.ndarray:
        """Rewards (N, W)."""
        return outputs_NW.astype(np.float64) * self.scale + self.shift

    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        """How rewards order pairs; or how near they come to ratings."""
        from welltuned.metrics.regression import rank_correlation, score_regression

        rewards = _flat(self.values(outputs_NK), targets)
        if any(target.pairs for target in targets):
            return pairs.score(rewards, targets, intervals)
        said, lengths = np.concatenate(rewards), np.concatenate([t.lengths_K for t in targets])
        ratings = np.array([target.score for target in targets])
        if self.source == "preferences":  # rewards are in units of their own
            return {"spearman": rank_correlation(ratings, said)}
        scores = score_regression(ratings, said, intervals)
        return {**scores, "length_correlation": rank_correlation(lengths, said)}

    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """The same reward for every response: the mean."""
        rewards = 0.0
        if self.source == "ratings":
            rewards = float(np.mean([target.score for target in train_targets]))
        width = max(len(target.lengths_K) for target in targets)
        constant = np.full((len(targets), width), (rewards - self.shift) / self.scale)
        return self.score(constant, targets)

    def baselines(
        self, train_targets: np.ndarray, targets: np.ndarray
    ) -> dict[str, dict[str, Any]]:
        """Also, for pairs: the longer response is the better one."""
        found = super().baselines(train_targets, targets)
        return found | (
            {"longer": pairs.longer_wins(targets)} if self.source == "preferences" else {}
        )

    # --- Telling ---

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        return [{"prediction": float(row[0])} for row in self.values(outputs_NK)]

    def answers(self, outputs_NK: np.ndarray, records: Records) -> list[dict[str, Any]]:
        """The reward of a record's response; a list of rewards where it has several."""
        found: list[dict[str, Any]] = []
        for rewards_W, said in zip(self.values(outputs_NK), records["responses"], strict=True):
            rewards = [float(reward) for reward in rewards_W[: len(said)]]
            found.append({"prediction": rewards if len(said) > 1 else rewards[0]})
        return found

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: dict[str, Sequence[str]]
    ) -> Iterator[dict[str, Any]]:
        """One row a pair; or one row a rating."""
        records, targets = examples.records, examples.targets
        assert targets is not None
        rewards = _flat(self.values(outputs_NK), targets)
        if self.source == "preferences":
            yield from pairs.rows(rewards, targets, records, texts)
            return
        for i, (reward, target) in enumerate(zip(rewards, targets, strict=True)):
            row = {"id": records.id(i), "label": target.score, "prediction": float(reward[0])}
            yield {**row, **self.shown(records, i)}

    def target_of(self, target: Any) -> Any:
        return pairs.target_in_words(target)

    def shown(self, records: Records, index: int) -> dict[str, Any]:
        said = records["responses"][index]
        if records["prompt"][index] is None:
            return {"text": said[0]}
        answer = {"response": said[0]} if len(said) == 1 else {"responses": said}
        return {"prompt": records["prompt"][index], **answer}

    def lines(self, records: Records, index: int) -> list[str]:
        return pairs.lines(records, index)

    # --- Remembering ---

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "source": self.source,
            "by_itself": self.by_itself,
            "form": self.form,
            "scale": self.scale,
            "shift": self.shift,
        }

    @classmethod
    def from_dict(cls, memory: dict[str, Any]) -> RewardProblem:
        """The problem an artifact remembers."""
        return cls(**{name: value for name, value in memory.items() if name != "type"})


def bradley_terry(differences_Q: torch.Tensor) -> torch.Tensor:
    """-log sigmoid(r_better - r_worse) of each pair (Q); its slope is -sigmoid(-difference)."""
    from torch.nn import functional

    return -functional.logsigmoid(differences_Q)


def _flat(rewards_NW: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """The rewards of each prompt's own responses."""
    both = zip(rewards_NW, targets, strict=True)
    return [rewards_W[: len(target.lengths_K)] for rewards_W, target in both]


def _joined(records: Records) -> Records:
    """Prompt and response as one text, for models that judge texts by themselves."""
    joined = [
        ["".join(responses.touching(prompt or "", said, _JOINT)) for said in group]
        for prompt, group in zip(records["prompt"], records["responses"], strict=True)
    ]
    nothing: list[Any] = [None] * len(joined)
    changed = {"prompt": nothing, "messages": nothing, "responses": joined}
    return Records(
        records.source, {**records.columns, **changed}, records.lines, records.input_roles
    )
