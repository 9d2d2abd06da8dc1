"""When two texts count as the same."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from welltuned.data.overlap.duplicates import (
    Overlap,
    find_overlaps,
    find_repeats,
    keys_of,
    normalise,
)
from welltuned.data.records import Records


def records(*texts: str) -> Records:
    return Records("a", {"text": list(texts)}, list(range(len(texts))), ("text",))


def overlaps(**splits: list[str]) -> list[Overlap]:
    parts = {split: records(*texts) for split, texts in splits.items()}
    return find_overlaps(parts, {split: keys_of(part, "text") for split, part in parts.items()})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Good film.", "good  film", True),
        ("it's", "its", True),
        ("ＦＵＬＬ width", "full width", True),
        ("Straße", "STRASSE", True),
        ("很 好！", "很好", True),
        ("good film", "bad film", False),
        ("version 1", "version 2", False),
        (":-)", ":-(", False),
        (":-)", " :-) ", True),
        ("", " ", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("zero\u200bwidth", "\ufeffzerowidth", True),
        ("a\u3000b", "a b", True),
        ("काम।", "काम", True),
        ("Ada , sings.", "ada sings", True),
        ("wait: here", "wait here", True),
        ("a.b", "ab", False),
        ("काम", "कम", False),
        ("बुरा", "बारा", False),
        ("مُدرِّس", "مدرس", False),
        ("cafe", "café", False),
        ("می\u200cروم", "میروم", False),
        ("1.5", "15", False),
        ("1,5", "15", False),
        ("-5", "5", False),
        ("5%", "5", False),
        ("good 😀", "good 😡", False),
        ("good :)", "good :(", False),
        ("C", "C++", False),
        ("C", "C#", False),
        ("a < b", "a > b", False),
        ("x²", "x2", False),
        ("now here", "nowhere", False),
        ("?", "!", False),
        ("😀!", "😡!", False),
    ],
)
def test_texts_are_the_same_where_people_read_them_alike(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) == same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a = b", "a=b\n", True),
        ("a == b", "a = b", False),
        ("A", "a", False),
        ("a+b", "a-b", False),
    ],
)
def test_in_code_every_sign_counts_but_white_space(one: str, other: str, same: bool) -> None:
    assert (normalise(one, "code") == normalise(other, "code")) == same


def test_every_sign_of_another_width_is_compared_as_it_is_usually_written() -> None:
    """Of all that Unicode has, though only one block of it is looked through."""
    resized = [
        sign
        for sign in map(chr, range(sys.maxunicode + 1))
        if unicodedata.decomposition(sign).startswith(("<wide>", "<narrow>"))
    ]
    assert len(resized) > 200
    usual = [unicodedata.normalize("NFKC", sign) for sign in resized]
    assert [normalise(f"a{sign}a") for sign in resized] == [normalise(f"a{x}a") for x in usual]


@pytest.mark.parametrize(
    ("text", "compared"),
    [
        ("don't", "dont"),
        ("l’été", "lété"),
        ("'quoted' words", "'quoted' words"),
        ("the dogs' bowl", "the dogs' bowl"),
        ("rock 'n' roll", "rock 'n' roll"),
    ],
)
def test_apostrophes_are_left_out_within_words_alone(text: str, compared: str) -> None:
    assert normalise(text) == compared


def test_a_pair_is_the_same_only_when_both_texts_are() -> None:
    pair = Records("a", {"text": ["a", "a"], "text_pair": ["b", "c"], "label": [1, 1]}, [1, 2],
                   ("text", "text_pair"))  # fmt: skip
    assert keys_of(pair, "text") == [("a", "b"), ("a", "c")]


def test_a_text_of_a_later_split_is_found_in_the_earlier_one() -> None:
    found = overlaps(train=["x", "same"], validation=["y"], test=["z", "w", "same"])
    assert found == [Overlap("train", 1, "test", 2, exact=True)]


def test_validation_and_test_are_compared_too() -> None:
    (found,) = overlaps(train=["x"], validation=["Same"], test=["same!"])
    assert found == Overlap("validation", 0, "test", 0, exact=False)


def test_a_text_in_all_three_splits_overlaps_twice_with_the_first() -> None:
    found = overlaps(train=["same"], validation=["same"], test=["same"])
    assert [(o.earlier, o.later) for o in found] == [("train", "validation"), ("train", "test")]


def test_repeats_within_a_split_are_no_overlap() -> None:
    assert overlaps(train=["a", "a"], validation=["b", "b"], test=["c"]) == []


def test_repeats_are_counted_after_the_first() -> None:
    assert find_repeats([("a",), ("b",), ("a",), ("a",)]) == [2, 3]
    assert find_repeats([]) == []


SCRIPTS = "aé1-+#%😀😡کمकाि्かがガ很มิ한ñß"
SIGNS = st.text(st.sampled_from(SCRIPTS), min_size=1, max_size=6)


@given(SIGNS, SIGNS)
def test_different_texts_are_different_in_every_script(one: str, other: str) -> None:
    assert (normalise(one) == normalise(other)) == (_plain(one) == _plain(other))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@given(
    SIGNS,
    st.sampled_from(
        ["{}", " {} ", "{}!", "{}.", "{}?!", "{} …", "{},", "{} : ", "{}。", "\u200b{}"]
    ),
)
def test_what_is_folded_makes_no_difference(text: str, written: str) -> None:
    assert normalise(written.format(text)) == normalise(text)
    assert normalise(normalise(text)) == normalise(text)


def test_words_of_a_sentence_are_compared_as_its_text() -> None:
    words = [["Good", "film", "."], ["good", "film"], ["good", "-", "film"]]
    lists = Records("a", {"words": words}, [1, 2, 3], ("words",))
    first, second, third = keys_of(lists, "text")
    assert first == second != third
