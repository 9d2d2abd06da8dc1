"""Simulated comparisons: the pages are what was simulated, and rules are judged as they are."""

from __future__ import annotations

import json

import numpy as np
import pytest

import verdicts


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pages_are_what_was_simulated(language: str) -> None:
    page = verdicts.PAGES[language].read_text(encoding="utf-8")
    found = json.loads(verdicts.RESULTS.read_text(encoding="utf-8"))
    assert verdicts.with_tables(page, found, language) == page, "run `make simulate`"


def test_a_clear_winner_is_taken_by_every_rule() -> None:
    truth = np.array([0.6, 0.6, 0.9])
    one = verdicts.World(truth, np.full(3, 0.004), 3, 2000)
    scored = one.scored(np.random.default_rng(0))
    assert [rule(scored)[0] for rule in verdicts.RULES.values()] == [2, 2, 2]


def test_of_equals_only_the_old_rule_takes_the_cheapest_whatever_is_known() -> None:
    """One of five points less, with so few examples that it cannot be seen."""
    lost = dict.fromkeys(verdicts.RULES, 0.0)
    random = np.random.default_rng(1)
    for _ in range(20):
        one = verdicts.world(random, 0.05, 2, 200)
        scored = one.scored(random)
        for name, rule in verdicts.RULES.items():
            lost[name] += float(one.truth_K.max() - one.truth_K[rule(scored)[0]])
    assert lost["best mean"] <= lost["non-inferior"] < lost["not shown to be worse"] / 2
