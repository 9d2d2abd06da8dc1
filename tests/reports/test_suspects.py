"""The page of labels to check, and their place in a comparison's report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, cast

import pytest

from welltuned.reports.comparison import write_comparison_report
from welltuned.reports.suspects import judged_rows, judges_of, shown_suspects, write_suspects_report
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.folder import write_json
from welltuned.runs.suspects_schema import SuspectsFile, stamped

NASTY = "<script>alert('x')</script>"


def found(number: int = 25, **parts: Any) -> SuspectsFile:
    suspects = [
        {
            "id": f"r{i}",
            "label": "bad",
            "suggested": "good",
            "probability": 0.01 * i,
            "suggested_probability": 1 - 0.01 * i,
            "inputs": {"text": f"text {i} {NASTY}"},
        }
        for i in range(number)
    ]
    twin = {"id": "t1", "label": ["a", "b"], "inputs": {"text": "nearly the same"}}
    pair = {"one": twin, "other": {**twin, "id": "t2", "label": []}, "similarity": 0.91}
    values = {
        "data": "reviews.csv", "model": "m", "language": "en",
        "judged_by": ["linear head", "word counts"], "folds": 5,
        "splits": ["train", "validation"], "examples": 2000, "metric": "macro_f1",
        "score": 0.812, "expected": 96.4, "suspects": suspects, "near_duplicates": [pair],
        "command": "welltuned train reviews.yaml data.corrections=x/suspects.csv", **parts,
    }  # fmt: skip
    return cast(SuspectsFile, values)


def page(folder: Path, language: str | None = None, **parts: Any) -> tuple[str, str]:
    """The page, and its text."""
    write_json(folder / "suspects.json", stamped(found(**parts)))
    html = write_suspects_report(folder, language).read_text(encoding="utf-8")
    bare = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return html, " ".join(bare.split())


def test_the_first_twenty_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    html, text = page(tmp_path)
    assert "<script" not in html and "&lt;script&gt;" in html
    assert [f"text {i} " in text for i in (0, 19, 20)] == [True, True, False]
    assert "25" in text and "2,000" in text and "96" in text and "0.812" in text
    assert "a, b" in text and "91%" in text and "t2" in text
    assert "welltuned train reviews.yaml" in text
    assert not re.findall(r'(?:src|href)="(?!#)', html)


def test_where_nothing_is_found_the_page_says_so(tmp_path: Path) -> None:
    _, text = page(tmp_path, number=0, near_duplicates=[], command=None)
    assert "No label is confidently believed to be another." in text
    assert "Near-duplicates" not in text and "Correct them" not in text


def test_it_speaks_chinese_and_says_who_has_judged(tmp_path: Path) -> None:
    html, text = page(tmp_path, "zh", folds=None)
    assert 'lang="zh"' in html and "待核对的标签" in text and "线性头, 词频" in text
    for english in ("Labels to check", "suggested", "Judged", "linear head", "confidently"):
        assert english not in text, english


# --- In a comparison -----------------------------------------------------------------


@pytest.fixture
def doubted(compared: Comparison, tmp_path: Path) -> Comparison:
    """A comparison whose runs are all sure that the first test label is wrong."""
    folder = tmp_path / "reviews"
    shutil.copytree(compared.folder, folder)
    for file in folder.glob("cells/*/*/predictions.jsonl"):
        first, *rest = file.read_text(encoding="utf-8").splitlines()
        row = json.loads(first)
        row["probabilities"] = dict.fromkeys(row["probabilities"], 0.999)
        row["probabilities"][row["label"]] = 0.001
        file.write_text("\n".join([json.dumps(row), *rest, ""]), encoding="utf-8")
    return Comparison(folder)


def test_all_runs_judge_the_test_split(doubted: Comparison) -> None:
    judges = judges_of(doubted)
    assert len(judges) == 4 and all(name.endswith(("seed 0", "seed 1")) for name in judges)
    rows = judged_rows(judges)
    assert len(rows) == 12 and rows[0]["probabilities"][rows[0]["label"]] == pytest.approx(0.001)
    assert judged_rows({}) == []


def test_a_comparisons_report_shows_labels_to_check(doubted: Comparison) -> None:
    strategies = [row for row in doubted.results["rows"] if row["kind"] == "strategy"]
    shown = shown_suspects(doubted, strategies)
    assert shown is not None and shown["judges"] == 4
    assert shown["shown"][0]["probability"] == pytest.approx(0.001)
    html = write_comparison_report(doubted).read_text(encoding="utf-8")
    assert 'id="labels-to-check"' in html and f"data suspects {doubted.folder}" in html
    assert shown_suspects(doubted, []) is None
