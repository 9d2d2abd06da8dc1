"""The script for decision rules: its sets and its tables, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import decision_rules
from marked import with_part

ROW = {
    "set": "question_en_trec",
    "loss": "focal",
    "score": "macro-F1",
    "before": 0.25,
    "after": 0.5,
    "difference_ci95": [0.2, 0.3],
}


@pytest.mark.parametrize("language", decision_rules.PAGES)
def test_a_page_gets_its_table_once_and_keeps_the_rest(language: str) -> None:
    page = "before\n<!-- measured -->\n\n<!-- end of measured -->\nafter\n"
    table = decision_rules.table([ROW], language)
    once = with_part(page, "measured", table)
    assert "0.250 | 0.500 | +0.200 … +0.300" in once
    assert once.startswith("before\n") and once.endswith("\nafter\n")
    assert with_part(once, "measured", table) == once


def test_joined_titles_have_their_topics_as_labels(tmp_path: Path) -> None:
    data = tmp_path / "news"
    data.mkdir()
    rows = [{"text": f"{topic} {i}", "label": topic} for topic in ("a", "b", "c") for i in range(9)]
    for split in decision_rules.SPLITS:
        (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    files = decision_rules.several_labels("news", data, tmp_path / "made")
    made: list[Any] = [
        json.loads(row) for row in Path(files["test"]).read_text(encoding="utf-8").splitlines()
    ]
    assert len(made) == 1000
    assert all(
        set(row["label"]) == {title[0] for title in row["text"].split(" / ")} for row in made
    )
    counts = [sum(topic in row["label"] for row in made) for topic in ("a", "b", "c")]
    assert counts == sorted(counts, reverse=True) and counts[0] > 1.5 * counts[2]
