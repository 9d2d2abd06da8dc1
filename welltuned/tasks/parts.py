"""The parts of a problem, each with one role, and each to be tested by itself.

Codec      user's columns -> records -> examples -> batches
Objective  the model's head, the loss, and the outputs that evaluation reads
Scorer     outputs and targets -> predictions of a family -> its metrics
Presenter  outputs, targets and records in words and rows, for people and files
Responder  free text in answer to records; only where there is such a thing
Prompter   prompts for a policy that writes text; only where one can
Verdict    outputs as a reward; only where they say how good a text is
LinearReadout  a linear map in place of the model; only where one can answer
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records, Role
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.metrics import Metric, Predictions, Scores, score
from welltuned.runs.results_schema import RuleEffect
from welltuned.schema.messages import Message
from welltuned.tasks.examples import Examples
from welltuned.tasks.model_input import ModelInput

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix
    from sklearn.base import BaseEstimator
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Kind
    from welltuned.models.loading import Head, Pooling

    Batch = dict[str, torch.Tensor]

AUTO = "auto"

Target = TypeVar("Target", contravariant=True)
"""One target, as the codec reads it: a number, flags, tag numbers or judgements."""


class Codec(ModelInput, ABC):
    """From the user's columns to padded batches."""

    roles: ClassVar[tuple[Role, ...]]
    """How files are read."""
    expects: ClassVar[str] = "a text"

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """The user's columns as the roles expect them; answers may be missing.

        `columns` is the user's mapping from role to column.
        """
        return table

    def accepts(self, given: object) -> bool:
        """Whether `records_of` can read an input; `expects` says for people what it can."""
        return isinstance(given, str)

    @abstractmethod
    def records_of(self, inputs: Sequence[object]) -> Records:
        """Inputs given one by one, such as texts, as records without answers."""

    @abstractmethod
    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """The targets of labelled records (N, …).

        What is not a known label is recorded as a fault.
        """

    def fit_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Give the tokenizer what encoding needs of it, where it has none of its own."""
        return None

    @abstractmethod
    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = ...,
    ) -> Examples:
        """Records as a model reads them; targets only where the records have them."""

    def pack(self, examples: Examples, max_length: int) -> Examples:
        """Training examples in fewer rows, where the task can."""
        return examples

    @abstractmethod
    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """One padded batch; `labels` only where there are targets."""

    def notes(self, examples: Examples, split: str) -> list[Message]:
        """What a person should know of encoded examples, besides texts that were cut."""
        return []


class Objective(ABC):
    """The head a model needs, what it learns by, and what is read off it."""

    needs_step_mean: ClassVar[bool] = False
    """Whether the loss compares with a mean over the whole optimizer step: that of `step_sum`."""

    @property
    def reads_logits(self) -> bool:
        """Whether a batch's loss follows from the model's logits and `labels`, one each, alone."""
        return False

    @property
    def needs_reference(self) -> bool:
        """Whether the loss compares with the model as it was before it was tuned."""
        return False

    @abstractmethod
    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        """Which model class with which config serves the problem. Raises `InputError`."""

    def usual_pooling(self, kind: Kind) -> Pooling | None:
        """What a new head reads in models of a kind; None where a probe on the targets decides."""
        return None

    def initialise(self, model: nn.Module, new: Sequence[str], seed: int) -> None:
        """Give weights that are `new` their first values, where those of their family will not do.

        Asked before the strategy prepares the model.
        """
        return None

    def with_reference(self, examples: Examples, outputs_NK: np.ndarray) -> Examples:
        """The examples with the untuned model's outputs on them, for objectives that need it."""
        return examples

    @property
    def is_convex(self) -> bool:
        """Whether the loss is convex in the outputs, so that a linear head has one optimum."""
        return True

    @abstractmethod
    def count(self, batch: Batch) -> float:
        """What the loss of this batch is divided by; known before the model runs."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The loss summed over the batch.

        Divided once, by the count of the whole optimizer step.
        """

    def step_sum(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What the step's mean is of, summed over this batch, without gradients.

        `loss` is given the mean as `batch["step_mean"]`; without it, it takes its own batch's.
        """
        raise NotImplementedError

    @abstractmethod
    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """What evaluation needs to know of a batch (B, …), as small as it can be."""


class Scorer(ABC):
    """Which metrics judge the outputs."""

    @property
    @abstractmethod
    def family(self) -> type[Predictions]:
        """What the outputs are read as, and so which metrics there are."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.family.metrics

    @property
    def default_metric(self) -> str:
        """The validation score that chooses the best checkpoint."""
        return self.family.default_metric

    @property
    def metric_names(self) -> tuple[str, ...]:
        """All validation scores that may choose it."""
        return tuple(metric.name for metric in self.metrics)

    def chosen(self, name: str) -> str:
        """The metric that `training.metric_for_best_model` means."""
        return self.default_metric if name == AUTO else name

    @abstractmethod
    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> Predictions:
        """Outputs beside the truth, as the metrics read them."""

    def score(self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False) -> Scores:
        """Scores of a split; `NAME_ci95` beside NAME where intervals are asked for."""
        return score(self.read(outputs_NK, targets), intervals)

    @property
    def decision_rule(self) -> dict[str, JsonValue]:
        """How outputs become answers, where that is more than the likeliest; by names of labels."""
        return {}

    def effect(self, outputs_NK: np.ndarray, targets: np.ndarray) -> RuleEffect:
        """What the decision rule changes of the scores."""
        return {"scores": {}}

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """The scores of ignoring the input: the majority class, or the mean; empty without one."""
        return {}

    def baselines(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Scores]:
        """The scores of rules that need no model, by name."""
        majority = self.majority(train_targets, targets)
        return {"majority": majority} if majority else {}


class Presenter(ABC, Generic[Target]):
    """The problem in words, for people and files."""

    label: ClassVar[str] = "label"
    """What people call a target."""

    @abstractmethod
    def headline(self, facts: Mapping[str, object]) -> str:
        """The problem in a few words; `facts` is the part `task` of data.json."""

    @abstractmethod
    def describe(self, outputs_NK: np.ndarray) -> Sequence[Mapping[str, object]]:
        """One row a prediction, for people and files."""

    def answers(self, outputs_NK: np.ndarray, records: Records) -> Sequence[Mapping[str, object]]:
        """As `describe`, where the records that were asked are at hand."""
        return self.describe(outputs_NK)

    @abstractmethod
    def target_of(self, target: Target) -> object:
        """A target in the user's own terms."""

    def target_text(self, target: Target) -> str:
        """The same in one line."""
        return str(self.target_of(target))

    def rows(
        self, outputs_NK: np.ndarray, examples: Examples, texts: Mapping[str, Mapping[int, str]]
    ) -> Iterator[Mapping[str, object]]:
        """One row an example for `predictions.jsonl`, which the scorer's family reads back.

        `texts` holds free text by example: `response`, and `before` it was tuned.
        """
        records, targets = examples.records, examples.targets
        assert targets is not None
        for i, row in enumerate(self.answers(outputs_NK, records)):
            label = self.target_of(targets[i])
            yield {"id": records.id(i), "label": label, **row, **self.shown(records, i)}

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        """What a record asked, for people and files."""
        return {role: records[role][index] for role in records.input_roles}

    def lines(self, records: Records, index: int) -> list[str]:
        """A record as lines of text, its answer included where that belongs into the text."""
        return [str(records[role][index]) for role in records.input_roles]


# --- What only some problems have -----------------------------------------------------


class Prompter(ABC):
    """How a policy that writes text is asked."""

    @property
    @abstractmethod
    def joint(self) -> str:
        """What stands between prompt and response where both are read as one text."""

    @abstractmethod
    def prompt(
        self, tokenizer: PreTrainedTokenizerBase, records: Records, index: int, beginning: int
    ) -> tuple[list[int], str]:
        """A record's prompt as tokens, and as the text that judges read.

        A text without a prompt gives its first `beginning` tokens.
        """

    @abstractmethod
    def as_answers(self, prompts: Sequence[str]) -> Records:
        """Prompts as texts that a model can be tried on, whether or not they came with answers."""


class LinearReadout(ABC):
    """How a linear map answers in place of the model: on its hidden states, or on word counts.

    M is the number of things that are read, of which each belongs to one of N texts.
    """

    @abstractmethod
    def targets(self, examples: Examples) -> np.ndarray:
        """What the map shall say of each thing (M, K), in the units of the outputs."""

    def places(self, examples: Examples) -> list[np.ndarray] | None:
        """For each text the tokens that are read; None where a text is read as a whole."""
        return None

    def outputs(
        self, answers_MK: np.ndarray, examples: Examples, texts: Sequence[int] | np.ndarray
    ) -> np.ndarray:
        """Answers about everything in all texts as the problem's outputs for some (N, …)."""
        return answers_MK[texts]

    @abstractmethod
    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """How right the outputs are, text by text (N); more is better."""

    def estimator(self, strength: float) -> BaseEstimator | None:
        """A scikit-learn model of texts' features; None where texts have no one answer.

        `strength` is the inverse strength of its regularisation.
        """
        return None

    def estimator_targets(self, targets: np.ndarray) -> np.ndarray:
        """Targets as the estimator is fitted on them."""
        return targets

    def estimator_outputs(self, estimator: BaseEstimator, features: csr_matrix) -> np.ndarray:
        """What the problem's own head would have put out (N, K)."""
        raise NotImplementedError


class Verdict(ABC):
    """How outputs say how good a text is, so that the model may be a reward."""

    labels: tuple[str, ...] = ()
    """Classes of which one has to be named as the good one; none where there is one number."""
    reads_prompts: ClassVar[bool] = False
    """Whether inputs are pairs of prompt and response, and not texts."""

    @abstractmethod
    def rewards(self, outputs_NK: np.ndarray, label: int) -> np.ndarray:
        """Rewards (N): numbers, or the log-odds of the class with this number."""


def in_full(logits: torch.Tensor) -> torch.Tensor:
    """In float32 at least, which losses need; what is computed in float64 stays so."""
    return logits.float() if logits.element_size() < 8 else logits  # bytes


def one_hot(classes_M: np.ndarray, number: int) -> np.ndarray:
    """Classes as one column of plus and minus one each (M, K), for a linear map."""
    return np.where(classes_M[:, None] == np.arange(number), 1.0, -1.0)
