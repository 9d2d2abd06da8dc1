"""A tag for each word, such as named entities or parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NotRequired, TypedDict

import numpy as np
from pydantic import JsonValue

from welltuned.data.records import Records
from welltuned.data.tokens.encoding import IGNORED
from welltuned.data.tokens.windows import WINDOWS
from welltuned.data.tokens.word_alignment import NONE
from welltuned.errors import Fault, InputError
from welltuned.metrics import EntityPredictions, Predictions, Scores, TagPredictions, score
from welltuned.metrics.entities import OUTSIDE, Entity, Tags, find_entities
from welltuned.models.loading import Head
from welltuned.tasks.base import Problem
from welltuned.tasks.examples import Examples
from welltuned.tasks.families import require_one_stack
from welltuned.tasks.long import TRUNCATE, LongTexts, long_texts_memory
from welltuned.tasks.parts import LinearReadout, Objective, Presenter, Scorer, in_full, one_hot
from welltuned.tasks.rows import read_tokens
from welltuned.tasks.token_classification.codec import SentenceCodec, TaggedSentences

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedConfig

    from welltuned.models.loading import Head
    from welltuned.tasks.parts import Batch


@dataclass(frozen=True)
class TokenClassificationProblem(Problem):
    """Token classification with known tags."""

    tags: tuple[str, ...]
    entities: bool
    """Whether the tags mark entities."""
    label_all_pieces: bool = False
    label_smoothing: float = 0.0
    long: LongTexts = field(default=TRUNCATE, kw_only=True)
    """What is read of long sentences."""

    type: ClassVar[str] = "token_classification"
    peft_task_type: ClassVar[str] = "TOKEN_CLS"
    auto_class: ClassVar[str] = "AutoModelForTokenClassification"

    @property
    def labels(self) -> tuple[str, ...]:
        return self.tags

    @property
    def codec(self) -> SentenceCodec:
        return SentenceCodec(self.tags, self.label_all_pieces, self.long)

    @property
    def objective(self) -> TokenObjective:
        return TokenObjective(self.tags, self.label_smoothing, long=self.long)

    @property
    def scorer(self) -> TagScorer:
        return TagScorer(self.tags, self.entities)

    @property
    def presenter(self) -> TagPresenter:
        return TagPresenter(self.tags, self.entities)

    @property
    def linear(self) -> LinearReadout | None:
        return None if self.long.in_windows else WordReadout(len(self.tags))

    def to_dict(self) -> dict[str, JsonValue]:
        return {
            "type": self.type,
            "tags": list(self.tags),
            "entities": self.entities,
            "label_all_pieces": self.label_all_pieces,
            **long_texts_memory(self.long),
        }


@dataclass(frozen=True)
class TokenObjective(Objective):
    """Cross-entropy of the labelled tokens."""

    tags: tuple[str, ...]
    label_smoothing: float = 0.0
    long: LongTexts = field(default=TRUNCATE, kw_only=True)

    @property
    def reads_logits(self) -> bool:
        return not self.long.in_windows

    def head(self, base: PreTrainedConfig, pooling: str) -> Head:
        from transformers import AutoModelForTokenClassification

        from welltuned.models.compat.transformers_api import MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING

        require_one_stack(
            base, "a tag is read off each word, which its decoder never reads as such"
        )
        if type(base) not in MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING:
            raise InputError(
                Fault(
                    "task.token_classification_unsupported",
                    "transformers has no token classification for the family '{family}'",
                    None,
                    "use an encoder such as BERT, RoBERTa or DeBERTa",
                    family=base.model_type,
                )
            )
        labels = {
            "num_labels": len(self.tags),
            "id2label": dict(enumerate(self.tags)),
            "label2id": {tag: i for i, tag in enumerate(self.tags)},
        }
        config = type(base).from_dict({**base.to_dict(), **labels})
        return Head(AutoModelForTokenClassification, config)

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
        scores_RTC = self._logits(model, batch).log_softmax(dim=-1)
        scores_BTC = scores_RTC.flatten(0, 1)[None] if WINDOWS in batch else scores_RTC
        scores_BTC = scores_BTC.expand(len(first_BW), -1, -1)
        places_BWC = first_BW.clamp(min=0).unsqueeze(-1).expand(-1, -1, scores_BTC.shape[-1])
        return scores_BTC.gather(1, places_BWC).masked_fill((first_BW == NONE).unsqueeze(-1), 0.0)

    def _logits(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Logits of every token of every row (R, T, C)."""
        ours = ("labels", "first_tokens", WINDOWS)
        inputs = {name: tensor for name, tensor in batch.items() if name not in ours}
        if WINDOWS not in batch:
            return in_full(model(**inputs).logits)
        return read_tokens(lambda rows: in_full(model(**rows).logits), inputs)


@dataclass(frozen=True)
class TagScorer(Scorer):
    """A word that the model did not see, since its sentence was cut, counts as missed."""

    tags: tuple[str, ...]
    entities: bool

    @property
    def family(self) -> type[TagPredictions]:
        return EntityPredictions if self.entities else TagPredictions

    def read(self, outputs_NK: np.ndarray, targets: np.ndarray) -> Predictions:
        lengths = [len(target_W) for target_W in targets]
        return self._beside(predicted_tags(self.tags, outputs_NK, lengths), targets)

    def _beside(self, predicted: Sequence[Tags], targets: np.ndarray) -> TagPredictions:
        true = [[self.tags[number] for number in target_W] for target_W in targets]
        return self.family(true, predicted, self.tags)

    def majority(self, train_targets: np.ndarray, targets: np.ndarray) -> Scores:
        """Every word gets the most frequent tag."""
        majority = self.tags[int(np.bincount(np.concatenate(list(train_targets))).argmax())]
        return score(self._beside([[majority] * len(target) for target in targets], targets))


def predicted_tags(
    names: Sequence[str], outputs_NWC: np.ndarray, lengths: Sequence[int]
) -> list[Tags]:
    """The likeliest tag of each word; None for words that the model did not see."""
    numbers_NW = np.where(outputs_NWC.any(axis=-1), outputs_NWC.argmax(axis=-1), NONE)
    width = outputs_NWC.shape[1]
    return [
        [names[n] if n != NONE else None for n in row[:length]] + [None] * max(0, length - width)
        for row, length in zip(numbers_NW.tolist(), lengths, strict=True)
    ]


class MarkedEntity(TypedDict):
    """An entity: its type, its words from `start` up to `stop`, and these as text."""

    type: str
    start: int
    stop: int
    text: str


class TagAnswer(TypedDict):
    """A sentence's words, the tag of each and how sure the model is of it."""

    words: list[str]
    prediction: Tags
    confidences: list[float | None]
    entities: NotRequired[list[MarkedEntity]]


def _in_text(entity: Entity, words: Sequence[str]) -> MarkedEntity:
    kind, start, stop = entity
    return {"type": kind, "start": start, "stop": stop, "text": " ".join(words[start:stop])}


@dataclass(frozen=True)
class TagPresenter(Presenter[np.ndarray]):
    """Words with their tags, and the entities that they mark."""

    tags: tuple[str, ...]
    entities: bool

    label: ClassVar[str] = "tags"

    def headline(self, facts: Mapping[str, object]) -> str:
        return f"a tag for each word, {len(self.tags)} tags"

    def describe(self, outputs_NK: np.ndarray) -> list[TagAnswer]:
        last = [np.flatnonzero(sentence.any(axis=-1)) for sentence in outputs_NK]
        lengths = [int(seen[-1]) + 1 if seen.size else 0 for seen in last]
        return self._rows(outputs_NK, [[""] * length for length in lengths])

    def answers(self, outputs_NK: np.ndarray, records: Records) -> list[TagAnswer]:
        return self._rows(outputs_NK, records["words"])

    def _rows(self, outputs_NWC: np.ndarray, sentences: Sequence[Sequence[str]]) -> list[TagAnswer]:
        """Words, their tags, how sure the model is of each, and the entities they mark.

        None stands for the tag of a word that the model did not see.
        """
        predicted = predicted_tags(self.tags, outputs_NWC, [len(words) for words in sentences])
        chances_NW = np.exp(outputs_NWC.max(axis=-1).astype(np.float64)).round(6)
        rows: list[TagAnswer] = []
        for words, tags, chances_W in zip(sentences, predicted, chances_NW.tolist(), strict=True):
            sure = [chances_W[i] if tag is not None else None for i, tag in enumerate(tags)]
            row: TagAnswer = {"words": list(words), "prediction": tags, "confidences": sure}
            if self.entities:
                row["entities"] = [_in_text(entity, words) for entity in find_entities(tags)]
            rows.append(row)
        return rows

    def entities_of(self, target: np.ndarray) -> list[Entity]:
        """The entities of a sentence's tag numbers; none where tags mark none."""
        return find_entities(self.target_of(target)) if self.entities else []

    def target_of(self, target: np.ndarray) -> list[str]:
        return [self.tags[number] for number in target]

    def target_text(self, target: np.ndarray) -> str:
        return " ".join(self.target_of(target))

    def shown(self, records: Records, index: int) -> Mapping[str, object]:
        return {"text": " ".join(records["words"][index])}

    def lines(self, records: Records, index: int) -> list[str]:
        words = records["words"][index]
        tags = records["tags"][index] if "tags" in records else [""] * len(words)
        pairs = zip(words, tags, strict=True)
        return [" ".join(f"{word}/{tag}" if tag != OUTSIDE else word for word, tag in pairs)]


@dataclass(frozen=True)
class WordReadout(LinearReadout):
    """One answer a word, read off its first token; words that the model does not see have none."""

    number: int
    """Of tags."""

    def targets(self, examples: Examples) -> np.ndarray:
        assert isinstance(examples, TaggedSentences) and examples.targets is not None
        pairs = zip(examples.targets, examples.first_tokens, strict=True)
        seen_M = np.concatenate([target_W[first_W != NONE] for target_W, first_W in pairs])
        return one_hot(seen_M, self.number)

    def places(self, examples: Examples) -> list[np.ndarray]:
        assert isinstance(examples, TaggedSentences)
        return [first_W[first_W != NONE] for first_W in examples.first_tokens]

    def outputs(
        self, answers_MK: np.ndarray, examples: Examples, texts: Sequence[int] | np.ndarray
    ) -> np.ndarray:
        """(N, W, C): all zero where there is no word to answer for, and below zero elsewhere."""
        assert isinstance(examples, TaggedSentences)
        first = [examples.first_tokens[text] for text in texts]
        widest = max(len(first_W) for first_W in first)
        outputs_NWC = np.zeros((len(first), widest, answers_MK.shape[1]))
        numbers = [len(place) for place in self.places(examples)]
        text_M = np.repeat(np.arange(len(numbers)), numbers)
        answers_MK = answers_MK[np.isin(text_M, texts)]
        answers_MK = answers_MK - answers_MK.max(axis=1, keepdims=True) - 1
        start = 0
        for row, first_W in enumerate(first):
            words = np.flatnonzero(first_W != NONE)
            outputs_NWC[row, words] = answers_MK[start : start + len(words)]
            start += len(words)
        return outputs_NWC

    def right(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        said_NW = outputs.argmax(axis=-1)
        pairs = zip(said_NW, targets, strict=True)
        return np.array([(said_W[: len(t_W)] == t_W).mean() for said_W, t_W in pairs])
