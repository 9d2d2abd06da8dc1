"""The config of a token classification, and what it becomes when tags are found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from welltuned.data.load_splits import DataSplits
from welltuned.data.records import Records, Role
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults
from welltuned.metrics.entities import OUTSIDE, mark_entities, split_tag
from welltuned.schema.part import conflict
from welltuned.tasks.base import Task
from welltuned.tasks.long import TRUNCATE, AnyLongTexts, LongTexts, Windows, recalled_long_texts
from welltuned.tasks.token_classification.codec import ROLES, read_sentences
from welltuned.tasks.token_classification.problem import TokenClassificationProblem

_MOST_TAGS = 1000


class TokenClassification(Task):
    """Token classification: tag every word of a sentence."""

    roles: ClassVar[tuple[Role, ...]] = ROLES

    type: Literal["token_classification"] = "token_classification"
    pooling: Literal["model"] = "model"
    """Not applicable: the head reads every token by itself."""
    label_all_pieces: bool = False
    """Compute the loss on all subword tokens of a word. Otherwise only on the first, which
    predicts."""
    max_length: int | Literal["auto"] = Field(default="auto", examples=[256])
    """Maximum tokens per sentence, special tokens included. auto: the model's limit, at most
    512."""
    long: AnyLongTexts = TRUNCATE
    """What is read of sentences longer than `max_length`: the beginning, both ends, or all of it in
    windows, each word where it has most context."""

    @property
    def cutting(self) -> LongTexts:
        return self.long

    @model_validator(mode="after")
    def _sensible(self) -> TokenClassification:
        if self.max_length != "auto" and self.max_length < 4:
            raise conflict(
                "task.max_length_too_small",
                "'task.max_length' leaves no room for {unit}",
                "use 16 or more",
                unit="words",
            )
        if isinstance(self.long, Windows) and self.long.pooling in ("max", "attention"):
            raise conflict(
                "task.words_not_pooled",
                "each word is read in one window, and nothing is pooled",
                "remove task.long.pooling",
            )
        return self

    def convert(self, table: Table, columns: dict[str, str], faults: Faults) -> Table:
        return read_sentences(table, columns, faults)

    def find_problem(
        self, data: DataSplits, label_smoothing: float, faults: Faults
    ) -> TokenClassificationProblem | None:
        before = len(faults)
        counts = Counter(tag for tags in data.train["tags"] for tag in tags if tag)
        _check_tags(counts, data.train, faults)
        entities = mark_entities(counts)
        tags = tuple(_complete(counts) if entities else sorted(counts, key=_natural))
        problem = TokenClassificationProblem(
            tags, entities, self.label_all_pieces, float(label_smoothing), long=self.long
        )
        targets = {split: problem.codec.read_targets(data[split], faults) for split in SPLITS}
        if len(faults) > before:
            return None
        _describe_tags(problem, targets, counts, data)
        return problem

    @classmethod
    def restore(cls, memory: Mapping[str, Any]) -> TokenClassificationProblem:
        return TokenClassificationProblem(
            tuple(memory["tags"]),
            memory["entities"],
            memory["label_all_pieces"],
            long=recalled_long_texts(memory),
        )


# --- Tags ---------------------------------------------------------------------


def _check_tags(counts: Counter[str], train: Records, faults: Faults) -> None:
    if len(counts) < 2:
        only = f"only one tag, '{next(iter(counts))}'" if counts else "no tag at all"
        faults.add(
            "task.too_few_tags",
            "the training data contain {only}",
            train.place(0),
            "give examples of at least two tags",
            only=only,
        )
    elif len(counts) > _MOST_TAGS:
        faults.add(
            "task.too_many_tags",
            "{tags:,} different tags in {words:,} words",
            train.place(0),
            "check data.columns.tags",
            tags=len(counts),
            words=counts.total(),
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
    entities_of = problem.presenter.entities_of
    facts.task = {
        "problem": problem.type,
        "labels": list(tags),
        "counts": {
            split: dict(zip(tags, map(int, row), strict=True)) for split, row in numbers.items()
        },
        "entities": {
            split: dict(Counter(entity.type for row in rows for entity in entities_of(row)))
            for split, rows in targets.items()
        },
    }
    if not problem.entities:
        facts.note(
            "task.tags_without_entities",
            "The tags are not of the form B-TYPE, I-TYPE: {tags}. Words are scored one by one, "
            "not as entities.",
            tags=", ".join(tags[:8]) + (", …" if len(tags) > 8 else ""),
        )
        return
    odd = [tag for tag in tags if tag != OUTSIDE and split_tag(tag)[0] == OUTSIDE]
    if odd:
        facts.note(
            "task.tags_without_prefix",
            "Tags without a prefix count as outside: {tags}.",
            tags=", ".join(odd),
        )
    added = [tag for tag in tags if tag not in counts]
    if added:
        facts.note(
            "task.tags_added",
            "Tags included although train has no example of them: {tags}.",
            tags=", ".join(added),
        )
    for split in ("validation", "test"):
        absent = sorted(set(facts.task["entities"]["train"]) - set(facts.task["entities"][split]))
        if absent:
            facts.note(
                "task.entities_absent",
                "{split} has no entity of {types}.",
                split=split,
                types=", ".join(absent),
            )
