"""Measured parts of documents: every script finds its place in both languages."""

from __future__ import annotations

import pytest

from marked import as_table, pages, with_part

PARTS = {
    "comparisons": ("verdicts", "real verdicts"),
    "cross-validation": ("covered",),
    "decision-rules": ("measured",),
    "hard-data": (
        "dataflow",
        "few labels",
        "long texts",
        "near-duplicates",
        "sizes",
        "unlabelled",
    ),
    "labels": ("next texts", "suspects"),
    "language-models": ("beside trl", "middle_grpo", "peft comparison", "quantised bases"),
    "performance": ("rows", "phases", "start", "limit", "scaling"),
    "production": ("deployment",),
}


@pytest.mark.parametrize(
    ("document", "part"), [(d, p) for d, names in PARTS.items() for p in names]
)
def test_every_part_has_its_place_and_is_filled(document: str, part: str) -> None:
    for page in pages(document).values():
        text = page.read_text(encoding="utf-8")
        emptied = with_part(text, part, "")
        assert len(emptied) < len(text) - 100, f"{page} has no table: run its script"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places for rows"):
        with_part("no marks", "rows", "")


def test_words_stand_left_and_numbers_right() -> None:
    assert as_table(["a", "b"], [["x", 1]], left=1) == "| a | b |\n| --- | --: |\n| x | 1 |"
