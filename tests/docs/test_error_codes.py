"""Every fault has a code of one meaning, words that fit its values, and a line in the reference."""

from __future__ import annotations

from collections import defaultdict

import error_codes


def test_the_reference_lists_every_fault() -> None:
    assert error_codes.PAGE.read_text(encoding="utf-8") == error_codes.page(), "run `make errors`"
    assert len(error_codes.faults()) > 150, "the source is read"


def test_a_code_has_one_meaning() -> None:
    """Where a fault is made in two places, it says the same in both."""
    said: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in (*error_codes.faults(), *error_codes.messages()):
        said[one.code].add((one.text, one.remedy))
    assert {code: words for code, words in said.items() if len(words) > 1} == {}


def test_no_message_has_the_code_of_a_fault() -> None:
    messages = {one.code for one in error_codes.messages()}
    assert not messages & {one.code for one in error_codes.faults()}


def test_words_show_the_values_that_are_given() -> None:
    """None is asked for that is not there, which would fail when the fault is told."""
    wrong = {
        one.place: one.fields ^ one.values
        for one in (*error_codes.faults(), *error_codes.messages())
        if (one.fields - one.values and not one.open) or one.values - one.fields
    }
    # These put the name of their protection or model family in front of the words.
    assert wrong == {}
