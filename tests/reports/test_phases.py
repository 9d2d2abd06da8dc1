"""Where the time went, as pieces of a bar."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.reports.phases import phase_shares
from welltuned.reports.translations import ENGLISH, Translator


def cost(**phases: float) -> Any:
    return {"phases": phases}


def test_pieces_are_shares_of_the_whole() -> None:
    pieces = phase_shares(cost(load=1.0, train=2.0, probe=0.0, other=1.0), ENGLISH)
    assert [(piece["name"], piece["share"]) for piece in pieces] == [
        ("loading the model", 0.25),
        ("training the model", 0.5),
        ("everything else", 0.25),
    ]


def test_the_page_cannot_tell_how_long_it_took_to_write() -> None:
    """So that it is the same when it is written again."""
    before, after = cost(train=2.0), cost(train=2.0, report=1.0)
    assert phase_shares(before, ENGLISH) == phase_shares(after, ENGLISH)


def test_earlier_runs_do_not_say() -> None:
    without: Any = {}
    assert phase_shares(without, ENGLISH) == []


def test_a_phase_of_a_later_release_keeps_its_name() -> None:
    [piece] = phase_shares(cost(packing=1.0), Translator("zh"))
    assert piece["name"] == "packing" and piece["share"] == pytest.approx(1)
