"""The script for few labels: what it draws, and its table, without a model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import few_labels
from marked import with_part


def record() -> dict[str, Any]:
    scores = {"contrastive": 0.8, "full": 0.7, "head": 0.75, "setfit": 0.79}
    done = {
        f"{name}/{shots}/{draw}/{way}": {"accuracy": score + draw / 100, "seconds": 8.0, "cpu": 9.0}
        for name, shots in (("news", 16), ("news", 8), ("films", 8))
        for draw in range(3)
        for way, score in scores.items()
    }
    return {"with": {"cpu": "a core", "versions": {"torch": "2"}, "date": "today"}, "done": done}


def test_each_label_has_as_many_texts_and_no_text_stands_twice() -> None:
    rows = [{"text": f"{i % 30}", "label": str(i % 3)} for i in range(300)]
    chosen = few_labels.drawn(rows, 8, seed=1)
    assert Counter(row["label"] for row in chosen) == {"0": 8, "1": 8, "2": 8}
    assert len({row["text"] for row in chosen}) == len(chosen)
    assert chosen == few_labels.drawn(rows, 8, seed=1)
    assert chosen != few_labels.drawn(rows, 8, seed=2)


def test_a_draw_is_the_same_files_for_all(tmp_path: Path) -> None:
    data = tmp_path / "data/news"
    data.mkdir(parents=True)
    for split in ("train", "validation", "test"):
        rows = [{"text": f"{split} {i}", "label": i % 2} for i in range(40)]
        (data / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    few_labels.write_draw(tmp_path / "data", "news", 8, 0, 10, tmp_path)
    sizes = {
        split: len((tmp_path / f"{split}.jsonl").read_text(encoding="utf-8").splitlines())
        for split in ("train", "validation", "test")
    }
    assert sizes == {"train": 16, "validation": 8, "test": 10}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train.jsonl", '{"text": "a \\"fine\\" film", "label": 1}\n'),
        ("train.csv", 'text,label\n"a ""fine"" film",1\n'),
        ("train.tsv", 'text\tlabel\na "fine" film\t1\n'),
    ],
)
def test_the_sets_are_read_as_their_files_are_written(
    tmp_path: Path, file: str, content: str
) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / file).write_text(content, encoding="utf-8")
    assert few_labels.read(tmp_path, "films", "train") == [{"text": 'a "fine" film', "label": "1"}]


@pytest.mark.parametrize("language", few_labels.PAGES)
def test_the_page_has_a_place_for_the_table(language: str) -> None:
    table = few_labels.table(record(), language)
    page = few_labels.PAGES[language].read_text(encoding="utf-8")
    once = with_part(page, "few labels", table)
    assert table in once
    assert with_part(once, "few labels", table) == once


def test_draws_are_compared_with_one_another() -> None:
    """Their own spread is not in the interval."""
    lines = few_labels.table(record(), "en").splitlines()
    assert lines[2].startswith("| `news` | 8 | 0.810 [0.785, 0.835] |")
    assert "| +1.0 [+1.0, +1.0] | +10.0 [+10.0, +10.0] | 9 / 9 |" in lines[2]
    assert lines[4].startswith("| all sets | 8 |") and "+1.0 [+1.0, +1.0]" in lines[4]
    assert lines[5].startswith("| `news` | 16 |") and lines[6] == "", "one set is no mean over sets"


def test_what_is_missing_is_told_by_a_dash() -> None:
    told = record()
    told["done"] = {key: one for key, one in told["done"].items() if "setfit" not in key}
    assert "| – | – | +10.0" in few_labels.table(told, "en")
