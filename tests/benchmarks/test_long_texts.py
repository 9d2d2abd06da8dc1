"""The script for long texts: its texts and its tables, without a model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import long_texts
from marked import ROOT, with_part

ROW = {
    **{"place": "middle", "way": "windows, mean", "accuracy": 0.75, "difference": 0.25},
    **{"ci95": [0.2, 0.3], "rows": 3.5, "seconds": 12.0, "seed": 0},
}
FILLER = [f"w{number}" for number in range(1000)]


@pytest.mark.parametrize("language", long_texts.PAGES)
def test_a_page_gets_its_table_once_and_keeps_the_rest(language: str) -> None:
    page = long_texts.PAGES[language].read_text(encoding="utf-8")
    table = long_texts.table([ROW, {**ROW, "way": "truncate"}], language)
    once = with_part(page, long_texts.PART, table)
    assert "| 0.750 | +0.250 (+0.200 … +0.300) | 3.5 | 1 |" in once
    assert "| `truncate` | 0.750 | – |" in once
    assert with_part(once, long_texts.PART, table) == once


def test_seeds_are_one_row_that_has_their_means() -> None:
    other = {**ROW, "seed": 1, "accuracy": 0.65, "difference": 0.05, "ci95": [-0.1, 0.2]}
    table = long_texts.table([other, ROW], "en")
    assert "| 0.700 | +0.150 (+0.050 … +0.250) | 3.5 | 2 |" in table


@pytest.mark.parametrize(("place", "before"), [("start", 0), ("middle", 50), ("end", 100)])
def test_the_evidence_stands_where_it_is_asked_to(place: str, before: int) -> None:
    text = long_texts.joined("here it is", FILLER, place, random.Random(0)).split()
    assert text.index("here") == before and len(text) == 100 + 3
    if place == "middle":
        assert before > long_texts.LENGTH and long_texts.LENGTH < 50, "beyond both ends"


def test_the_example_is_of_embedded_texts_that_hold_their_reviews() -> None:
    rows = long_texts.example_rows()
    reviews = long_texts.read(ROOT / "welltuned/data/demo/sentiment_en.jsonl")
    assert len(rows) == len(reviews)
    assert all(one["text"] in row["text"] for one, row in zip(reviews, rows, strict=True))
    assert rows == long_texts.example_rows()


def test_answers_are_paired_by_line(tmp_path: Path) -> None:
    rows = [
        {"id": f"test.jsonl:{line}", "label": "1", "prediction": said}
        for line, said in ((10, "1"), (2, "0"), (1, "1"))
    ]
    text = "\n".join(map(json.dumps, rows))
    (tmp_path / "predictions.jsonl").write_text(text, encoding="utf-8")
    run: Any = SimpleNamespace(folder=tmp_path)
    assert long_texts.answers_right(run).tolist() == [1, 0, 1]
