"""The tables of what a storm found are those of its figures."""

from __future__ import annotations

import json
import re

import pytest

import storm_figures


@pytest.mark.parametrize("language", storm_figures.PAGES)
def test_the_tables_are_those_of_the_figures(language: str) -> None:
    figures = json.loads(storm_figures.FIGURES.read_text(encoding="utf-8"))
    page = storm_figures.PAGES[language].read_text(encoding="utf-8")
    assert storm_figures.with_table(page, figures, language) == page
    other = {**figures, "seed": figures["seed"] + 1}
    assert storm_figures.with_table(page, other, language) != page


def test_every_group_of_faults_is_named_in_both_languages() -> None:
    files = (storm_figures.ROOT / "tests/storm").glob("test_*.py")
    told = [re.findall(r'^GROUP = "(.*)"$', file.read_text(), re.MULTILINE) for file in files]
    assert sorted(name for names in told for name in names) == sorted(storm_figures.GROUPS)
