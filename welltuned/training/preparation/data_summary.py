"""What is in the data of a run, found without loading a weight.

The facts that `data.json` holds, and a few training examples: as text, and token by token where
a model is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.load_splits import DataSplits, collect
from welltuned.data.tokens.encoding import IGNORED, Encoded
from welltuned.errors import Faults, InputError
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_tokenizer
from welltuned.models.vocabulary import check_vocabulary
from welltuned.tasks import Examples, Problem, Task
from welltuned.training.preparation.encode import LONGEST, encode_splits, usual_length

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SHOWN = 3


@dataclass(frozen=True)
class Token:
    """One token of an example."""

    text: str
    number: int
    """Its id in the model's vocabulary."""
    is_special: bool
    """Whether the tokenizer has added it, such as `[CLS]`."""
    is_learned: bool
    """Whether the loss is taken on it."""


@dataclass(frozen=True)
class ShownExample:
    """One training example."""

    id: str
    target: str
    lines: tuple[str, ...]
    """Its texts."""
    rows: tuple[tuple[Token, ...], ...] = ()
    """What the model reads, a row for each text that it reads by itself; none without a model."""


@dataclass(frozen=True)
class DataSummary:
    """What is in the data, and a few examples."""

    facts: DataFacts
    target_name: str
    """What people call a target of this task."""
    examples: tuple[ShownExample, ...]
    is_encoded: bool
    """Whether a model was named, so that tokens are counted and shown."""

    @property
    def learns_tokens(self) -> bool:
        """Whether the task learns tokens of the text itself, rather than a label."""
        rows = (row for example in self.examples for row in example.rows)
        return any(token.is_learned for row in rows for token in row)


def summarise_data(data: DataConfig, task: Task, model: ModelConfig | None = None) -> DataSummary:
    """Read, check and count the data of a task.

    Raises `InputError` with all faults found.
    """
    faults = Faults()
    splits = collect(data.of_one_run, task.roles, faults, task.convert)
    problem = task.bind(splits, 0.0, faults) if splits is not None else None
    if splits is None or problem is None or len(faults):
        raise InputError(faults)
    if model is None:
        shown = tuple(_as_text(problem, splits))
    else:
        tokenizer = read_tokenizer(model)
        own = read_model_config(model)
        problem = task.for_family(problem, own)
        if not model.resize_embeddings:
            check_vocabulary(model.name, own, tokenizer)
        max_length = _max_length(task, model, tokenizer)
        train = encode_splits(problem, tokenizer, splits, max_length)["train"]
        shown = tuple(_as_read(problem, tokenizer, train))
    return DataSummary(splits.facts, problem.presenter.label, shown, model is not None)


def _max_length(task: Task, model: ModelConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens per example, as a run has them."""
    if task.max_length != "auto":
        return task.max_length
    text_config = read_model_config(model).get_text_config()
    limit = getattr(text_config, "max_position_embeddings", None) or LONGEST
    return usual_length(task, int(min(limit, tokenizer.model_max_length)))


# --- Examples ------------------------------------------------------------------


def _as_text(problem: Problem, splits: DataSplits) -> Iterator[ShownExample]:
    few = splits.train.take(range(min(_SHOWN, len(splits.train))))
    presenter = problem.presenter
    for i, target in enumerate(problem.codec.read_targets(few, Faults())):
        lines = tuple(presenter.lines(few, i))
        yield ShownExample(few.id(i), presenter.target_text(target), lines)


def _as_read(
    problem: Problem, tokenizer: PreTrainedTokenizerBase, train: Examples
) -> Iterator[ShownExample]:
    assert train.targets is not None, "training examples have targets"
    presenter, records = problem.presenter, train.records
    for i in range(min(_SHOWN, len(train))):
        yield ShownExample(
            records.id(i),
            presenter.target_text(train.targets[i]),
            tuple(presenter.lines(records, i)),
            tuple(_tokens(tokenizer, train.encoded.take([row])) for row in train.rows_of([i])),
        )


def _tokens(tokenizer: PreTrainedTokenizerBase, row: Encoded) -> tuple[Token, ...]:
    numbers = row.ids.tolist()
    learned = [False] * len(numbers) if row.labels is None else (row.labels != IGNORED).tolist()
    special = set(tokenizer.all_special_ids)
    return tuple(
        Token(text, number, number in special, is_learned)
        for text, number, is_learned in zip(
            tokenizer.convert_ids_to_tokens(numbers), numbers, learned, strict=True
        )
    )
