"""What people are told of scores that are of some examples only."""

from __future__ import annotations

from typing import Any

from welltuned.reports.answered import answered_line, answered_text
from welltuned.reports.translations import ENGLISH, Translator

SOME: Any = {
    "answered": {
        "number": 200,
        "of": 1319,
        "seconds": 58.0,
        "allowed_seconds": 60.0,
        "untrained": 120,
    }
}
ALL: Any = {"answered": {"number": 50, "of": 50, "seconds": 3.0, "allowed_seconds": 60.0}}


def test_a_part_is_called_one_with_its_time() -> None:
    (line,) = answered_line(SOME, "test")
    assert "200 of 1,319 test examples, drawn at random" in line
    assert "58.0 s of 1 min 0 s" in line and line.endswith("untrained 120")
    for translator in (ENGLISH, Translator("zh")):
        text = answered_text(SOME, translator)
        assert text is not None and "200" in text and "1,319" in text


def test_the_whole_is_no_sample() -> None:
    assert "drawn" not in answered_line(ALL, "test")[0]
    assert answered_text(ALL, ENGLISH) == "All 50 examples were answered (3.0 s of 1 min 0 s)."


def test_runs_that_write_nothing_say_nothing() -> None:
    nothing: Any = {}
    assert answered_line(nothing, "test") == [] and answered_text(nothing, ENGLISH) is None
