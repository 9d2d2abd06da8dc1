"""Text in pieces is, handed on, the text in one piece."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from welltuned.deployment.server.pieces import Pieces


def handed_on(pieces: list[str], *stops: str) -> list[str]:
    speaker = Pieces(stops)
    return [*map(speaker.add, pieces), speaker.end()]


def test_white_space_waits_for_what_comes_after_it() -> None:
    assert handed_on(["  a", " ", "\n", "b ", ""]) == ["a", "", "", " \nb", "", ""]


def test_nothing_comes_after_a_stop_string() -> None:
    speaker = Pieces(("END",))
    assert [speaker.add(piece) for piece in ("a E", "N", "D b", "c")] == ["a", "", "", ""]
    assert speaker.stopped and speaker.end() == ""


def test_what_only_began_as_a_stop_string_is_said() -> None:
    assert handed_on(["a E", "N", "E b"], "END") == ["a", "", " ENE b", ""]
    assert handed_on(["a EN"], "END") == ["a", " EN"]


def test_the_first_of_several_stop_strings_counts() -> None:
    assert "".join(handed_on(["one two three"], "three", "two")) == "one"


@pytest.mark.parametrize("stops", [(), ("ab",), ("b a", "aab"), ("a",)])
@given(pieces=st.lists(st.text("ab \n", max_size=4), max_size=8))
def test_it_does_not_matter_where_the_text_is_parted(
    stops: tuple[str, ...], pieces: list[str]
) -> None:
    whole = "".join(pieces).strip()
    ends = [at for stop in stops if (at := whole.find(stop)) >= 0]
    expected = whole[: min(ends)].rstrip() if ends else whole
    assert "".join(handed_on(pieces, *stops)) == expected
