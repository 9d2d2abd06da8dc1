"""Entities in tags, against seqeval and by hand."""

from __future__ import annotations

from typing import Any

import pytest
from seqeval.metrics.sequence_labeling import get_entities

from tagged import BARE, TYPED, draw
from welltuned.metrics.entities import Entity, find_entities, mark_entities


@pytest.mark.parametrize("tags", [TYPED, BARE], ids=["typed", "bare"])
def test_entities_are_those_that_seqeval_finds(tags: list[str]) -> None:
    for sentence in draw(tags, 3000):
        theirs = [(kind, start, last + 1) for kind, start, last in get_entities(sentence)]
        assert find_entities(sentence) == theirs, sentence


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 2), ("LOC", 3, 4)]),
        ("I-PER I-PER O I-LOC B-LOC", [("PER", 0, 2), ("LOC", 3, 4), ("LOC", 4, 5)]),
        ("B-PER I-LOC", [("PER", 0, 1), ("LOC", 1, 2)]),
        ("S-PER B-LOC E-LOC", [("PER", 0, 1), ("LOC", 1, 3)]),
        ("U-PER B-LOC I-LOC L-LOC", [("PER", 0, 1), ("LOC", 1, 4)]),
        ("B M E S", [("_", 0, 3), ("_", 3, 4)]),
        ("O O", []),
        ("X B-PER X", [("PER", 1, 2)]),
    ],
)
def test_every_scheme_is_read(tags: str, expected: Any) -> None:
    assert find_entities(tags.split()) == [Entity(*entity) for entity in expected]


def test_a_word_that_was_not_read_ends_an_entity() -> None:
    assert find_entities(["B-PER", None, "I-PER"]) == [("PER", 0, 1), ("PER", 2, 3)]


@pytest.mark.parametrize(
    ("tags", "marks"),
    [
        ("O B-PER I-PER", True),
        ("I-PER O", True),
        ("B I O", True),
        ("B M E S", True),
        ("O B-PER X", True),
        ("NOUN VERB", False),
        ("O", False),
        ("B-LOC NOUN", False),
        ("0 1 2", False),
    ],
)
def test_tags_of_entities_are_told_from_others(tags: str, marks: bool) -> None:
    assert mark_entities(tags.split()) is marks
