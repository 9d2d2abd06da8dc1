"""The benchmark of large data: its tables, and the part that needs no model."""

from __future__ import annotations

import large_data
from marked import pages

ROW = {
    "texts": 1_000_000,
    "file": 300e6,
    "memory": 2.5e9,
    "first_step": 120.0,
    "tokenising": 80.0,
    "reading": 25.0,
}


def test_a_row_has_the_rate_and_the_cost_of_a_text() -> None:
    assert large_data.cells(ROW) == [
        "1,000,000", "300.0 MB", "2.50 GB", "25.0", "80.0", "12,500", "120.0", "105",
    ]  # fmt: skip


def test_the_pages_have_a_place_for_each_part() -> None:
    kept = {
        "sizes": [ROW],
        "groups": [{"texts": 1000, "seconds": 0.2, "groups": 900}],
        "cpu": "a CPU",
        "cores": 2,
        "versions": {"torch": "2", "transformers": "5"},
        "date": "2026-01-01",
    }
    parts = large_data.parts_of(kept)
    for language, page in pages("hard-data").items():
        text = page.read_text(encoding="utf-8")
        for name, part in parts.items():
            assert f"<!-- {name} -->" in text and f"<!-- end of {name} -->" in text
            assert part[language].count("\n| ") >= 2


def test_near_copies_are_grouped() -> None:
    (row,) = large_data.near_duplicates([200])
    assert 180 <= row["groups"] < 200
