"""Every task can be compared: by its own score, example by example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from comparing import carried_out, values_for
from sentences import make_sentences, write_conll
from support import WORDS, make_rows, write_rows
from welltuned.metrics import family_of

pytestmark = pytest.mark.charts

PLAIN = ["lora", {"type": "partial", "num_blocks": 2}]


def compared_on(tmp_path: Path, model: str, data: str, task: Any) -> Any:
    values = values_for(
        model, data, tmp_path / "c", seeds=2, strategies=PLAIN, budget={"steps": 3}, task=task
    )
    return carried_out(values)


def check(comparison: Any, metric: str, baselines: set[str]) -> None:
    """The table by this score, the same numbers as the runs, and a report."""
    results = comparison.results
    assert results["metric"] == metric
    rows = {row["name"]: row for row in results["rows"]}
    assert set(rows) == {"lora", "partial num_blocks=2", *baselines}
    for slug, name in (("lora", "lora"), ("partial-num_blocks=2", "partial num_blocks=2")):
        runs = [comparison.cell(slug, seed) for seed in (0, 1)]
        own = [run.results["test"][metric] for run in runs]
        assert rows[name]["scores"][metric]["mean"] == pytest.approx(sum(own) / 2)
        assert metric in {one.name for one in family_of(runs[0].read("data.json")["task"]).metrics}
    [pair] = [p for p in results["pairs"] if "tf-idf" not in (p["one"], p["other"])]
    better, worse = (rows[pair[key]]["scores"][metric]["mean"] for key in ("one", "other"))
    assert pair["difference"] == pytest.approx(better - worse, abs=1e-5)
    assert results["recommendation"]["strategy"] in rows
    assert "<svg" in comparison.report.read_text(encoding="utf-8")


def test_numbers(tiny: Any, tmp_path: Path, here: None) -> None:
    rows = [
        {"text": row["text"], "label": 0.5 + sum(w in WORDS[:8] for w in row["text"].split())}
        for row in make_rows(80)
    ]
    data = write_rows(tmp_path / "data.jsonl", rows)
    comparison = compared_on(tmp_path, tiny("bert"), data, {"pooling": "mean"})
    check(comparison, "r2", {"tf-idf", "untouched", "majority"})
    assert "furthest apart" in comparison.report.read_text(encoding="utf-8")


def test_several_labels(tiny: Any, tmp_path: Path, here: None) -> None:
    rows = [
        {
            "text": row["text"],
            "label": [w for w in ("film", "book") if w in row["text"].split()] or ["none"],
        }
        for row in make_rows(100)
    ]
    data = write_rows(tmp_path / "data.jsonl", rows)
    task = {"pooling": "mean", "problem": "multi_label"}
    comparison = compared_on(tmp_path, tiny("bert"), data, task)
    check(comparison, "macro_f1", {"tf-idf", "untouched", "majority"})


def test_pairs_of_texts(tiny: Any, tmp_path: Path, here: None) -> None:
    data = write_rows(tmp_path / "data.jsonl", make_rows(80, pair=True))
    comparison = compared_on(tmp_path, tiny("bert"), data, {"pooling": "mean"})
    check(comparison, "macro_f1", {"tf-idf", "untouched", "majority"})


def test_tags_of_words(tiny: Any, tmp_path: Path, here: None) -> None:
    data = write_conll(tmp_path / "data.conll", make_sentences(60))
    comparison = compared_on(tmp_path, tiny("bert"), data, "token_classification")
    check(comparison, "entity_f1", {"untouched", "majority"})


def test_generated_text_where_less_loss_is_better(
    causal: Any, instructions: str, tmp_path: Path, here: None
) -> None:
    task = {"type": "generation", "scored_examples": 2}
    comparison = compared_on(tmp_path, causal("llama"), instructions, task)
    check(comparison, "loss", {"untouched"})
    results = comparison.results
    rows = {row["name"]: row for row in results["rows"]}
    best = rows[results["best"]]["scores"]["loss"]["mean"]
    assert best == min(rows[name]["scores"]["loss"]["mean"] for name in rows if rows[name]["seeds"])
