"""What the three classifications share: texts or pairs of texts, and a head over pooled states."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.data.tokens.windows import WINDOWS
from welltuned.errors import Fault, Faults, InputError
from welltuned.models.loading import Head
from welltuned.schema.messages import Message, message
from welltuned.tasks.base import Problem
from welltuned.tasks.classification.columns import ROLES
from welltuned.tasks.classification.label_columns import LabelReader
from welltuned.tasks.classification.labels import Labels
from welltuned.tasks.classification.separate_pairs import (
    Pairing,
    each_text,
    single_texts,
    two_rows_each,
)
from welltuned.tasks.dataflow.column import with_languages
from welltuned.tasks.dataflow.config import Dataflow
from welltuned.tasks.dataflow.encoding import encode_code
from welltuned.tasks.dataflow.examples import GraphExamples
from welltuned.tasks.dataflow.findings import graph_notes, graph_picture
from welltuned.tasks.examples import Examples
from welltuned.tasks.families import require_head_for_labels
from welltuned.tasks.long import (
    TRUNCATE,
    LongTexts,
    long_texts_memory,
    read_texts,
    recalled_long_texts,
)
from welltuned.tasks.parts import Codec, LinearReadout, Objective, Verdict, in_full

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.anatomy import Anatomy, Kind
    from welltuned.models.loading import Head, Pooling
    from welltuned.tasks.parts import Batch

_UNBALANCED = 3
"""So many times the rarest class may be exceeded before a note says so."""


@dataclass(frozen=True)
class ClassificationProblem(Problem):
    """Texts with known labels."""

    labelling: Labels
    long: LongTexts = field(default=TRUNCATE, kw_only=True)
    """What is read of long texts."""
    encoding: Dataflow | None = field(default=None, kw_only=True)
    """How source code is read with its data flow; None where texts are read as they are."""
    pair: Pairing = field(default="together", kw_only=True)
    """How the texts of a pair are read."""

    type: ClassVar[str] = "classification"
    peft_task_type: ClassVar[str] = "SEQ_CLS"
    auto_class: ClassVar[str] = "AutoModelForSequenceClassification"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.labelling.names

    @property
    def label_keys(self) -> tuple[str, ...]:
        return self.labelling.keys if self.labels else ()

    @property
    @abstractmethod
    def linear(self) -> LinearReadout: ...

    @property
    @abstractmethod
    def verdict(self) -> Verdict: ...

    @abstractmethod
    def facts(self, targets: Mapping[str, np.ndarray]) -> dict[str, object]:
        """What data.json tells of the targets, by split."""

    def label_notes(self, targets: Mapping[str, np.ndarray]) -> list[Message]:
        """What a person should know of them."""
        return []

    def to_dict(self) -> dict[str, JsonValue]:
        labels, rule = self.labelling.to_dict(), self.scorer.decision_rule
        memory: dict[str, JsonValue] = {"type": self.type, "labels": labels, "folded": False}
        memory |= long_texts_memory(self.long)
        if self.encoding is not None:
            memory["encoding"] = self.encoding.model_dump(mode="json")
        if self.pair != "together":
            memory["pair"] = self.pair
        return {**memory, "decision_rule": rule} if rule else memory

    @classmethod
    def restored(cls, labels: Labels, memory: Mapping[str, object]) -> Self:
        """The problem an artifact remembers."""
        return cls(labels, long=recalled_long_texts(memory))


@dataclass(frozen=True)
class TextCodec(Codec):
    """One text, or two, to a row; or to several, where long texts are read in windows."""

    labels: Labels
    long: LongTexts = TRUNCATE
    encoding: Dataflow | None = None
    pair: Pairing = "together"

    roles: ClassVar[tuple[Role, ...]] = ROLES
    expects: ClassVar[str] = "a text, or a tuple of two texts for models that read pairs"

    @property
    def reads_plainly(self) -> bool:
        return not self.pairs_of_rows and self.encoding is None and self.long.reads_plainly

    @property
    def pairs_of_rows(self) -> bool:
        return self.pair == "separate"

    @property
    def more_than_tokens(self) -> bool:
        return self.encoding is not None

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        """Labels as the model knows them; what cannot be read is refused where it is needed."""
        labels = self.labels
        reader = LabelReader(labels.problem, labels.separator, labels.names)
        if table.decimal == "auto" and labels.problem == "regression":
            table = replace(table, decimal=labels.decimal)
        table = reader.convert(table, columns, Faults())
        return with_languages(table, self.encoding, columns, faults)

    def check_model(self, anatomy: Anatomy) -> Iterator[Fault]:
        if self.encoding is not None:
            from welltuned.models.graph_attention import graph_faults  # brings torch

            yield from graph_faults(anatomy)

    def fit_model(self, model: nn.Module) -> None:
        if self.encoding is not None:
            from welltuned.models.graph_attention import read_graphs

            read_graphs(model)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Examples:
        targets = self.read_targets(records, Faults()) if "label" in records else None
        if not self.pairs_of_rows:
            read = self._rows(tokenizer, records, max_length, progress)
            return replace(read, targets=targets)
        for fault in single_texts([records]):
            raise InputError(fault)
        read = self._rows(
            tokenizer, each_text(records), max_length, lambda rows: progress(rows // 2)
        )
        pairs = two_rows_each(len(records))
        return replace(read, targets=targets, records=records, windows=pairs)

    def _rows(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None],
    ) -> Examples:
        """Records as rows of tokens, and of graphs where there are some."""
        if self.encoding is not None:
            read = encode_code(tokenizer, records, self.encoding, max_length, progress)
            return GraphExamples(read[0], None, records, read[1])
        pairs = records.columns.get("text_pair")
        encoded, windows = read_texts(
            self.long, tokenizer, records["text"], pairs, max_length, progress
        )
        return Examples(encoded, None, records, windows=windows)

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        batch = examples.padded(indices, pad_id)
        if examples.targets is not None:
            batch["labels"] = examples.targets[list(indices)]
        return batch

    def picture(self, records: Records) -> Mapping[str, JsonValue] | None:
        return None if self.encoding is None else graph_picture(records, self.encoding)

    def notes(self, examples: Examples, split: str) -> list[Message]:
        return graph_notes(examples, split) if isinstance(examples, GraphExamples) else []

    def accepts(self, given: object) -> bool:
        if self.encoding is not None and self.encoding.language is None:
            return False  # a text by itself does not say its language; a row does
        if not isinstance(given, (tuple, list)):
            return isinstance(given, str) and not self.pairs_of_rows
        return len(given) == 2 and all(isinstance(one, str) for one in given)

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Texts, or pairs of texts; all alike."""
        first = [given if isinstance(given, str) else given[0] for given in inputs]
        columns: dict[str, Sequence[Any]] = {"text": first}
        if any(not isinstance(given, str) for given in inputs):
            columns["text_pair"] = [given[1] for given in inputs]
        return Records("texts", columns, list(range(1, len(inputs) + 1)), tuple(columns))


@dataclass(frozen=True)
class PooledObjective(Objective):
    """A new head over what the trunk makes of a text."""

    labels: Labels
    long: LongTexts = field(default=TRUNCATE, kw_only=True)
    pair: Pairing = field(default="together", kw_only=True)

    problem_type: ClassVar[str]
    """What transformers calls it."""

    @property
    def reads_logits(self) -> bool:
        return self.pair == "together" and not self.long.in_windows

    def usual_pooling(self, kind: Kind) -> Pooling | None:
        """Of two rows no probe of one text tells; the mean serves likeness best (Reimers & Gurevych
        2019, arXiv 1908.10084)."""
        if self.pair == "together":
            return None
        return "last" if kind == "decoder" else "mean"

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForSequenceClassification

        from welltuned.models.modeling_pooled import PooledConfig

        names = (*self.labels.names, *self.long.further_outputs)
        labels: dict[str, Any] = {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
            "problem_type": self.problem_type,
        }
        if pooling == "model" and self.pair == "separate":
            raise InputError(_own_head_of_pairs())
        require_head_for_labels(base, pooling)
        if pooling == "model":
            self.check_own_head(base)
            config = type(base).from_dict({**base.to_dict(), **labels})
        else:
            config = PooledConfig(trunk=base, pooling=pooling, pair=self.pair, **labels)
        return Head(AutoModelForSequenceClassification, config)

    def check_own_head(self, base: PreTrainedConfig) -> None:
        """Raise `InputError` when the family's own head cannot serve."""

    def count(self, batch: Batch) -> float:
        return float(batch["labels"].numel())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        return self.loss_sum(self.outputs(model, batch), batch)

    @abstractmethod
    def loss_sum(self, outputs_BK: torch.Tensor, batch: Batch) -> torch.Tensor:
        """The loss summed over the batch, from the head's outputs."""

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        if self.pair == "separate":
            rows = {name: tensor for name, tensor in inputs.items() if name != WINDOWS}
            return in_full(model(**rows).logits)
        number = len(self.labels.names)
        return self.long.outputs(lambda rows: in_full(model(**rows).logits), inputs, number)


def _own_head_of_pairs() -> Fault:
    return Fault(
        "task.separate_pairs_of_own_head",
        "'task.pair: separate' needs a head over two vectors, and a family's own reads one",
        None,
        "set task.pooling to mean, first or last (no encoder-decoder has these), or remove "
        "task.pair",
    )


# --- Facts of classes -------------------------------------------------------------------


def count_facts(labels: Labels, counts: Mapping[str, np.ndarray]) -> dict[str, object]:
    """How often each class occurs, by split."""
    names = labels.names
    return {
        "problem": labels.problem,
        "labels": list(names),
        "counts": {
            split: dict(zip(names, map(int, count_K), strict=True))
            for split, count_K in counts.items()
        },
    }


def count_notes(labels: Labels, counts: Mapping[str, np.ndarray]) -> list[Message]:
    """Classes that are rare, or missing from a split."""
    notes, names = [], labels.names
    most, least = counts["train"].max(), counts["train"].min()
    if most > _UNBALANCED * max(least, 1):
        rare = names[int(counts["train"].argmin())]
        notes.append(
            message(
                "task.unbalanced",
                "The classes are unbalanced: '{label}' has {least:,} training examples, "
                "the largest {most:,}. task.class_weights=auto balances them.",
                label=rare,
                least=int(least),
                most=int(most),
            )
        )
    for split in SPLITS:
        absent = [name for name, number in zip(names, counts[split], strict=True) if not number]
        if absent:
            notes.append(
                message(
                    "task.labels_absent",
                    "{split} has no example of {labels}.",
                    split=split,
                    labels=", ".join(absent),
                )
            )
    return notes


def labels_headline(number: str, labels: Sequence[str]) -> str:
    """`one of 3 labels (bad, fine, good)`."""
    shown = ", ".join(labels[:6]) + (", …" if len(labels) > 6 else "")
    return f"{number} of {len(labels)} labels ({shown})"
