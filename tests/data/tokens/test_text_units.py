"""Units of text, and which tokens belong to them."""

from __future__ import annotations

import numpy as np
import pytest

from welltuned.data.tokens.text_units import UNIT, is_unspaced, units_of_tokens


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("It's fine, really.", ["It", "'", "s", "fine", ",", "really", "."]),
        ("int foo_bar(x1)", ["int", "foo_bar", "(", "x1", ")"]),
        ("房间很大。good酒店", ["房", "间", "很", "大", "。", "good", "酒", "店"]),
        ("ひらカナ한국어 말", ["ひ", "ら", "カ", "ナ", "한국어", "말"]),
    ],
)
def test_words_stand_whole_where_spaces_part_them_and_characters_where_not(
    text: str, units: list[str]
) -> None:
    assert UNIT.findall(text) == units


def test_characters_of_unspaced_scripts_are_told_from_words() -> None:
    assert [is_unspaced(unit) for unit in ("店", "a", "good", "!", "ไ")] == [
        True, False, False, False, True,
    ]  # fmt: skip


def units(text: str, offsets: list[tuple[int, int]], special: tuple[int, ...] = ()) -> list[int]:
    flags = np.isin(np.arange(len(offsets)), special)
    return units_of_tokens(text, np.array(offsets), flags).tolist()


def test_pieces_of_a_word_share_its_number_and_special_tokens_have_none() -> None:
    offsets = [(0, 0), (0, 4), (4, 7), (8, 12), (0, 0)]
    assert units("walking dogs", offsets, special=(0, 4)) == [-1, 0, 0, 1, -1]


def test_a_space_before_a_word_belongs_to_its_token() -> None:
    """As byte-level tokenizers with untrimmed offsets have it: ` dogs` and not `dogs`."""
    assert units("walk dogs", [(0, 2), (2, 4), (4, 7), (7, 9)]) == [0, 0, 1, 1]


def test_bytes_of_one_character_are_one_unit_and_the_next_character_is_another() -> None:
    assert units("酒店", [(0, 1), (0, 1), (0, 1), (1, 2), (1, 2)]) == [0, 0, 0, 1, 1]


def test_units_that_share_a_token_are_one() -> None:
    """A token of two characters, and one that begins inside the second of them."""
    assert units("酒店大", [(0, 2), (1, 3), (2, 3)]) == [0, 0, 0]


def test_a_text_without_anything_has_no_units() -> None:
    assert units("", [(0, 0), (0, 0)], special=(0, 1)) == [-1, -1]
    assert units("", [(0, 0)]) == [-1]
