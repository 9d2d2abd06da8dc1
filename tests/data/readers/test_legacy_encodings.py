"""Encodings older than Unicode, ranked by how likely they make the words of a file."""

from __future__ import annotations

import pytest

from welltuned.data.readers.legacy_encodings import CANDIDATES, Encoding, rank_encodings


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda one: one.name)
def test_the_most_frequent_characters_of_a_candidate_can_be_written_in_it(
    candidate: Encoding,
) -> None:
    """Signs and capitals at the end are shared between several."""
    assert all(_writes(candidate.name, character) for character in candidate.characters[:30])
    assert candidate.characters.isprintable() or "\xa0" in candidate.characters


def _writes(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def test_what_reads_the_same_stands_once() -> None:
    texts = [b"caf\xe9".decode(one.encoding) for one in rank_encodings(b"caf\xe9")]
    assert len(set(texts)) == len(texts) and texts[0] == "café"


def test_a_word_that_comes_often_is_no_stronger_evidence() -> None:
    once, often = rank_encodings(b"caf\xe9\n"), rank_encodings(b"caf\xe9\n" * 50)
    assert [one.score for one in once] == [one.score for one in often]


def test_what_cannot_be_decoded_is_no_candidate() -> None:
    assert "gb18030" not in {one.encoding for one in rank_encodings(b"caf\xff\n")}


def test_of_a_word_without_end_the_beginning_is_looked_at() -> None:
    """A megabyte without white space is recognised as soon as a page."""
    page = "мир".encode("cp1251") * 2000
    assert rank_encodings(page * 20)[0] == rank_encodings(page)[0]
