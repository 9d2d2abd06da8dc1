"""The page of pitfalls and the tests that hold them name the same ids, and each its tests."""

from __future__ import annotations

import pytest

import pitfall_tests

PAGE = pitfall_tests.PAGE.read_text(encoding="utf-8")


def test_every_id_of_the_page_has_its_tests_and_every_id_in_tests_is_on_the_page() -> None:
    told = [name for _, name in pitfall_tests.ROW.findall(PAGE)]
    assert len(set(told)) == len(told), "an id stands twice"
    assert set(told) == set(pitfall_tests.tags())


def test_each_pitfall_names_the_files_of_its_tests() -> None:
    assert pitfall_tests.with_tests(PAGE) == PAGE, "run `make pitfalls`"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def test_a():\n    """(G1) One more."""', {"G1"}),
        ('def test_a():\n    """Not (P1, P5), macro-F1, or (see X2)."""', {"P1", "P5"}),
        ('"""Pitfalls S1, S2 and S3: here."""', {"S1", "S2", "S3"}),
        ("def test_o11_gradients():\n    pass", {"O11"}),
        ('def test_f1():\n    """The F1 of a class."""', set()),
    ],
)
def test_which_ids_a_test_file_carries(source: str, found: set[str]) -> None:
    assert pitfall_tests.ids(source) == found
