"""Token classification: a tag per word, such as named entities or parts of speech."""

from __future__ import annotations

import builtins
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.encoding import IGNORED, Encoded, pad
from welltuned.data.load_splits import DataSplits
from welltuned.data.readers import conll
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.data.word_alignment import NONE, first_tokens, tokenise_words
from welltuned.errors import Fault, Faults, InputError
from welltuned.metrics.entities import (
    OUTSIDE,
    Tags,
    find_entities,
    mark_entities,
    score_entities,
    score_tags,
    split_tag,
)
from welltuned.schema.document import conflict
from welltuned.tasks.base import Examples, Problem, Task

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

    from welltuned.models.loading import Head
    from welltuned.tasks.base import Batch

_WORDS = ("words", "tokens", "word", "token", "sentence", "text")
_TAGS = (
    "tags",
    "ner_tags",
    "ner",
    "labels",
    "label",
    "tag",
    "entities",
    "pos_tags",
    "pos",
    "upos",
    "chunk_tags",
)
_MOST_TAGS = 1000


class TokenClassification(Task):
    """Tag every word of a sentence."""

    roles: ClassVar[tuple[Role, ...]] = (
        Role("words", _WORDS, is_input=True, is_list=True),
        Role("tags", _TAGS, is_target=True, is_list=True),
        Role("id", ("id", "idx", "guid", "uid"), required=False),
        Role("group", (), required=False),
    )

    type: Literal["token_classification"] = "token_classification"
    pooling: Literal["model"] = "model"
    """The head reads every token by itself; there is nothing to choose."""
    label_all_pieces: bool = False
    """Learn from all pieces of a word. Otherwise only from the first, which is what predicts."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Tokens per sentence, special tokens included. auto: what the model takes, at most 512."""

    @model_validator(mode="after")
    def _sensible(self) -> TokenClassification:
        if self.max_length != "auto" and self.max_length < 4:
            raise conflict("'task.max_length' leaves no room for words", "use 16 or more")
        return self

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return read_plain_text(table, faults)

    def bind(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> TokenClassificationProblem | None:
        before = len(faults)
        counts = Counter(tag for tags in data.train["tags"] for tag in tags if tag)
        _check_tags(counts, data.train, faults)
        entities = mark_entities(counts)
        tags = tuple(_complete(counts) if entities else sorted(counts, key=_natural))
        problem = TokenClassificationProblem(
            tags, entities, self.label_all_pieces, float(label_smoothing)
        )
        targets = {split: problem.read_targets(data[split], faults) for split in SPLITS}
        if len(faults) > before:
            return None
        _describe_tags(problem, targets, counts, data)
        return problem


def read_plain_text(table: Table, faults: Faults) -> Table:
    """The lines of a `.txt` file as words and tags; any other table as it is."""
    if PurePath(table.source).suffix.lower() != ".txt":
        return table
    lines = zip(table.lines, table.columns["text"], strict=True)
    sentences = conll.parse(lines, table.source, faults)
    return Table(table.source, *sentences)


# --- Tags ---------------------------------------------------------------------


def _check_tags(counts: Counter[str], train: Records, faults: Faults) -> None:
    if len(counts) < 2:
        only = f"only one tag, '{next(iter(counts))}'" if counts else "no tag at all"
        faults.add(
            f"the training data have {only}", train.place(0), "give examples of at least two tags"
        )
    elif len(counts) > _MOST_TAGS:
        faults.add(
            f"{len(counts):,} different tags in {counts.total():,} words",
            train.place(0),
            "check data.columns.tags",
        )


def _natural(tag: str) -> tuple[bool, int, str]:
    """Numbers in numeric order, then words in alphabetical order."""
    number = int(tag) if tag.isdecimal() else None
    return number is None, number or 0, tag


def _complete(counts: Counter[str]) -> list[str]:
    """All tags of the types and prefixes in use, `O` first: a rare `I-` may be missing in train."""
    prefixes = {tag[0] for tag in counts if split_tag(tag)[0] != OUTSIDE}
    prefixes |= {"B", "I"} if prefixes <= {"B", "I"} else set()
    rests = sorted({tag[1:] for tag in counts if split_tag(tag)[0] != OUTSIDE})
    marked = [prefix + rest for rest in rests for prefix in sorted(prefixes, key="BIMLEUS".index)]
    return [OUTSIDE, *sorted(set(counts) - set(marked) - {OUTSIDE}), *marked]


def _describe_tags(
    problem: TokenClassificationProblem,
    targets: dict[str, np.ndarray],
    counts: Counter[str],
    data: DataSplits,
) -> None:
    facts, tags = data.facts, problem.tags
    numbers = {
        split: np.bincount(np.concatenate(list(rows)), minlength=len(tags))
        for split, rows in targets.items()
    }
    facts.task = {
        "problem": problem.type,
        "labels": list(tags),
        "counts": {
            split: dict(zip(tags, map(int, row), strict=True)) for split, row in numbers.items()
        },
        "entities": {
            split: dict(Counter(entity.type for row in rows for entity in problem.find(row)))
            for split, rows in targets.items()
        },
    }
    if not problem.entities:
        facts.notes.append(
            f"The tags are not of the form B-TYPE, I-TYPE: {', '.join(tags[:8])}"
            f"{', …' if len(tags) > 8 else ''}. Words are scored one by one, not as entities."
        )
        return
    odd = [tag for tag in tags if tag != OUTSIDE and split_tag(tag)[0] == OUTSIDE]
    if odd:
        facts.notes.append(f"Tags without a prefix count as outside: {', '.join(odd)}.")
    added = [tag for tag in tags if tag not in counts]
    if added:
        facts.notes.append(f"Known without an example in train: {', '.join(added)}.")
    for split in ("validation", "test"):
        absent = sorted(set(facts.task["entities"]["train"]) - set(facts.task["entities"][split]))
        if absent:
            facts.notes.append(f"{split} has no entity of {', '.join(absent)}.")


# --- The problem --------------------------------------------------------------


@dataclass(frozen=True)
class TaggedSentences(Examples):
    """Sentences ready for a model. Targets are N arrays, a tag number for each word."""

    first_tokens: list[np.ndarray]
    """For each sentence the place of its words' first tokens; `NONE` for words without one."""
    width: int
    """As many words as the longest sentence shows to the model."""

    def take(self, indices: Sequence[int]) -> TaggedSentences:
        plain = super().take(indices)
        first = [self.first_tokens[i] for i in indices]
        return TaggedSentences(plain.encoded, plain.targets, plain.records, first, self.width)

    def join(self, other: Examples) -> TaggedSentences:
        assert isinstance(other, TaggedSentences)
        plain = super().join(other)
        first = self.first_tokens + other.first_tokens
        width = max(self.width, other.width)
        return TaggedSentences(plain.encoded, plain.targets, plain.records, first, width)


@dataclass(frozen=True)
class TokenClassificationProblem(Problem):
    """Token classification with known tags."""

    tags: tuple[str, ...]
    entities: bool
    """Whether the tags mark entities."""
    label_all_pieces: bool = False
    label_smoothing: float = 0.0

    type: ClassVar[str] = "token_classification"
    task: ClassVar[builtins.type[Task]] = TokenClassification
    peft_task_type: ClassVar[str] = "TOKEN_CLS"
    auto_class: ClassVar[str] = "AutoModelForTokenClassification"

    @property
    def default_metric(self) -> str:  # type: ignore[override]
        return self.metrics[0]

    @property
    def metrics(self) -> tuple[str, ...]:  # type: ignore[override]
        if self.entities:
            return "entity_f1", "entity_precision", "entity_recall", "accuracy"
        return "accuracy", "macro_f1"

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForTokenClassification

        from welltuned.models.compat.transformers_api import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
        from welltuned.models.loading import Head

        if type(base) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
            what = f"transformers has no token classification for the family '{base.model_type}'"
            raise InputError(Fault(what, None, "use an encoder such as BERT, RoBERTa or DeBERTa"))
        labels = {
            "num_labels": len(self.tags),
            "id2label": dict(enumerate(self.tags)),
            "label2id": {tag: i for i, tag in enumerate(self.tags)},
        }
        config = type(base).from_dict({**base.to_dict(), **labels})
        return Head(AutoModelForTokenClassification, config)

    # --- Data ---

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return read_plain_text(table, faults)

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        records: Records,
        max_length: int,
        progress: Callable[[int], None] = lambda done: None,
    ) -> TaggedSentences:
        found = tokenise_words(tokenizer, records["words"], max_length, progress)
        targets = self.read_targets(records, Faults()) if "tags" in records else None
        labels = None
        if targets is not None:
            labels = [self._labels(*pair) for pair in zip(found.words, targets, strict=True)]
        first = [
            first_tokens(words_T, len(words))
            for words_T, words in zip(found.words, records["words"], strict=True)
        ]
        width = max((int(words_T.max()) + 1 for words_T in found.words), default=1)
        encoded = Encoded.of(found.ids, found.truncated, labels=labels)
        return TaggedSentences(encoded, targets, records, first, max(width, 1))

    def _labels(self, words_T: np.ndarray, target_W: np.ndarray) -> np.ndarray:
        """What each token shall be recognised as (T): a word's first piece as its tag."""
        is_piece_T = words_T != NONE
        labels_T = np.full(len(words_T), IGNORED)
        if self.label_all_pieces:
            labels_T[is_piece_T] = np.array([self._inside(tag) for tag in target_W])[
                words_T[is_piece_T]
            ]
        first_W = first_tokens(words_T, len(target_W))
        labels_T[first_W[first_W != NONE]] = target_W[first_W != NONE]
        return labels_T

    def _inside(self, number: int) -> int:
        """The tag of a word's further pieces: an entity that has begun goes on."""
        tag = self.tags[number]
        inside = "I" + tag[1:]
        begun = split_tag(tag)[0] == "B" and inside in self.tags
        return self.tags.index(inside) if begun else number

    def collate(
        self, examples: Examples, indices: Sequence[int], pad_id: int
    ) -> dict[str, np.ndarray]:
        """`first_tokens` (B, W) beside what the model reads, as wide as the whole split needs."""
        assert isinstance(examples, TaggedSentences)
        batch = pad(examples.encoded, indices, pad_id)
        first_BW = np.full((len(indices), examples.width), NONE)
        for row, index in enumerate(indices):
            seen = examples.first_tokens[index][: examples.width]
            first_BW[row, : len(seen)] = seen
        return {**batch, "first_tokens": first_BW}

    def records_of(self, inputs: Sequence[Any]) -> Records:
        """Texts, whose words are parted by spaces, or lists of words; as sentences without tags."""
        words = [
            given if isinstance(given, list) else _text(given).split() or [""] for given in inputs
        ]
        return Records("texts", {"words": words}, list(range(1, len(words) + 1)), ("words",))

    def read_targets(self, records: Records, faults: Faults) -> np.ndarray:
        """N arrays (W each) of tag numbers."""
        number = {tag: i for i, tag in enumerate(self.tags)}
        targets = np.empty(len(records), dtype=object)
        for index, (words, tags) in enumerate(zip(records["words"], records["tags"], strict=True)):
            self._check(words, tags, records, index, faults)
            targets[index] = np.array([number.get(tag, 0) for tag in tags], dtype=np.int64)
        return targets

    def _check(
        self, words: list[str], tags: list[str], records: Records, index: int, faults: Faults
    ) -> None:
        place, source = records.place(index), records.source
        if len(words) != len(tags):
            faults.add(
                f"{len(words)} words but {len(tags)} tags",
                place,
                "give one tag for each word",
                kind=f"rows of {source} with more or fewer tags than words",
            )
            return
        for position, (word, tag) in enumerate(zip(words, tags, strict=True), 1):
            if tag not in self.tags:
                about = f"the tag of word {position}, '{word}',"
                faults.add(
                    f"{about} is '{tag}', which train does not have"
                    if tag
                    else f"{about} is missing",
                    place,
                    f"tags are: {', '.join(self.tags[:20])}{', …' if len(self.tags) > 20 else ''}",
                    kind=f"words of {source} with tags that train does not have",
                )

    # --- Learning ---

    def count(self, batch: Batch) -> float:
        return float((batch["labels"] != IGNORED).sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(
            self._logits(model, batch).flatten(0, 1),
            batch["labels"].flatten(),
            ignore_index=IGNORED,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Log-probabilities of each word's tags (B, W, C).

        All zero, which no log-probabilities are, where no token stands for a word.
        """
        first_BW = batch["first_tokens"]
        scores_BTC = self._logits(model, batch).log_softmax(dim=-1)
        places_BWC = first_BW.clamp(min=0).unsqueeze(-1).expand(-1, -1, scores_BTC.shape[-1])
        return scores_BTC.gather(1, places_BWC).masked_fill((first_BW == NONE).unsqueeze(-1), 0.0)

    def _logits(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Logits of every token (B, T, C)."""
        ours = ("labels", "first_tokens")
        inputs = {name: tensor for name, tensor in batch.items() if name not in ours}
        return model(**inputs).logits.float()

    # --- Judging ---

    def score(
        self, outputs_NK: np.ndarray, targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        """A word that the model did not see, since its sentence was cut, counts as missed."""
        lengths = [len(target) for target in targets]
        return self._score(self._predicted(outputs_NK, lengths), targets, intervals)

    def _score(
        self, predicted: Sequence[Tags], targets: np.ndarray, intervals: bool = False
    ) -> dict[str, Any]:
        true = [self.target_of(target) for target in targets]
        if self.entities:
            return score_entities(true, predicted, intervals)
        return score_tags(true, predicted, self.tags, intervals)

    def _predicted(self, outputs_NWC: np.ndarray, lengths: Sequence[int]) -> list[Tags]:
        """The likeliest tag of each word; None for words that the model did not see."""
        numbers_NW = np.where(outputs_NWC.any(axis=-1), outputs_NWC.argmax(axis=-1), NONE)
        width = outputs_NWC.shape[1]
        return [
            [self.tags[n] if n != NONE else None for n in row[:length]]
            + [None] * max(0, length - width)
            for row, length in zip(numbers_NW.tolist(), lengths, strict=True)
        ]

    def baseline(self, train_targets: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """Every word gets the most frequent tag."""
        majority = self.tags[int(np.bincount(np.concatenate(list(train_targets))).argmax())]
        return self._score([[majority] * len(target) for target in targets], targets)

    def describe(self, outputs_NK: np.ndarray) -> list[dict[str, Any]]:
        last = [np.flatnonzero(sentence.any(axis=-1)) for sentence in outputs_NK]
        lengths = [int(seen[-1]) + 1 if seen.size else 0 for seen in last]
        return self._rows(outputs_NK, [[""] * length for length in lengths])

    def answers(self, outputs_NK: np.ndarray, records: Records) -> list[dict[str, Any]]:
        return self._rows(outputs_NK, records["words"])

    def _rows(self, outputs_NWC: np.ndarray, sentences: list[list[str]]) -> list[dict[str, Any]]:
        """Words, their tags, how sure the model is of each, and the entities they mark.

        None stands for the tag of a word that the model did not see.
        """
        predicted = self._predicted(outputs_NWC, [len(words) for words in sentences])
        chances_NW = np.exp(outputs_NWC.max(axis=-1).astype(np.float64)).round(6)
        rows: list[dict[str, Any]] = []
        for words, tags, chances_W in zip(sentences, predicted, chances_NW.tolist(), strict=True):
            sure = [chances_W[i] if tag is not None else None for i, tag in enumerate(tags)]
            row: dict[str, Any] = {"words": words, "prediction": tags, "confidences": sure}
            if self.entities:
                row["entities"] = [
                    {**entity._asdict(), "text": " ".join(words[entity.start : entity.stop])}
                    for entity in find_entities(tags)
                ]
            rows.append(row)
        return rows

    def find(self, target: np.ndarray) -> Any:
        """The entities of a sentence's tag numbers; none where tags mark none."""
        return find_entities(self.target_of(target)) if self.entities else []

    def target_of(self, target: Any) -> Any:
        return [self.tags[number] for number in target]

    def notes(self, examples: Examples) -> list[str]:
        assert isinstance(examples, TaggedSentences)
        unseen = sum(int((first == NONE).sum()) for first in examples.first_tokens)
        if not unseen:
            return []
        total = sum(len(first) for first in examples.first_tokens)
        return [
            f"{unseen:,} of {total:,} words ({unseen / total:.1%}) have no token: their sentence "
            "was cut, or they hold nothing the tokenizer knows; they score as missed"
        ]

    def shown(self, records: Records, index: int) -> dict[str, Any]:
        return {"text": " ".join(records["words"][index])}

    def lines(self, records: Records, index: int) -> list[str]:
        words = records["words"][index]
        tags = records["tags"][index] if "tags" in records else [""] * len(words)
        pairs = zip(words, tags, strict=True)
        return [" ".join(f"{word}/{tag}" if tag != OUTSIDE else word for word, tag in pairs)]

    # --- Remembering ---

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "tags": list(self.tags),
            "entities": self.entities,
            "label_all_pieces": self.label_all_pieces,
        }

    @classmethod
    def from_dict(cls, memory: dict[str, Any]) -> TokenClassificationProblem:
        """The problem an artifact remembers."""
        return cls(tuple(memory["tags"]), memory["entities"], memory["label_all_pieces"])


def _text(given: Any) -> str:
    """One line, also where a tab parted it into two texts."""
    return given if isinstance(given, str) else " ".join(given)
