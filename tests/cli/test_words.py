"""Words of a verb itself, beside keys of a config."""

from __future__ import annotations

import pytest

from faults import refused
from welltuned.cli.words import take_words


def test_words_are_taken_and_the_rest_is_left() -> None:
    words, others = take_words(["a.csv", "out=b", "seed=1"], {"out": "c", "from": None})
    assert words == {"out": "b", "from": None} and others == ["a.csv", "seed=1"]


@pytest.mark.parametrize("argument", ["out=", "from=nothing"])
def test_a_word_without_a_value_that_is_known_is_refused(argument: str) -> None:
    with refused("cli.word_value", argument=argument):
        take_words([argument], {"out": None, "from": None}, {"from": ("trl",)})
