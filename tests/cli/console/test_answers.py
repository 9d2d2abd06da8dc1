"""Predictions as lines for people."""

from __future__ import annotations

from welltuned.cli.console.answers import pretty


def test_a_reward_stands_before_what_it_is_for() -> None:
    shown = pretty(("was it", "good"), {"prediction": 1.25})
    assert shown.split() == ["1.2500", "was", "it", "|", "good"]


def test_several_responses_have_a_line_each() -> None:
    shown = pretty(("was it", ["good", "bad"]), {"prediction": [1.25, -0.5]})
    lines = [line.split() for line in shown.splitlines()]
    assert lines == [["was", "it"], ["1.2500", "good"], ["-0.5000", "bad"]]
