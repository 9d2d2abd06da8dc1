"""TF-IDF with a linear model, the untouched model, and the majority."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from support import WORDS, config_values, make_rows, write_rows
from welltuned.experiments.comparison.worker import baselines
from welltuned.experiments.comparison.worker.baselines import run_baselines, spaceless
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison


@pytest.fixture
def measured(tiny: Any, tmp_path: Path) -> Any:
    """`measured(rows, …)`: (the baselines' runs by name, what was told)."""

    def run(rows: list[dict[str, Any]], **parts: Any) -> tuple[dict[str, Run], list[Any]]:
        data = write_rows(tmp_path / "data.jsonl", rows)
        values = config_values(tiny("bert"), data, "full", tmp_path / "x", **parts)
        del values["output_dir"]
        values.setdefault("task", {})["pooling"] = "mean"
        events: list[Any] = []
        folder = tmp_path / "baselines"
        run_baselines(
            {"config": values, "folder": str(folder)},
            lambda event, **told: events.append((event, told)),
        )
        return {path.name: Run(path) for path in folder.iterdir()}, events

    return run


def test_words_that_tell_the_label_are_found(measured: Any) -> None:
    runs, events = measured(make_rows(200))
    assert set(runs) == {"majority", "tf-idf", "untouched"}
    results = runs["tf-idf"].results
    assert results["test"]["accuracy"] >= 0.9
    assert results["features"].startswith("words, ")
    assert results["cost"]["train_seconds"] > 0 and results["cost"]["artifact_bytes"] > 100
    assert runs["majority"].results["test"]["accuracy"] == 0.5
    rows = list(runs["tf-idf"].read_lines("predictions.jsonl"))
    assert len(rows) == 20 and set(rows[0]["probabilities"]) == {"negative", "positive"}
    right = sum(row["label"] == row["prediction"] for row in rows) / len(rows)
    assert right == pytest.approx(results["test"]["accuracy"])
    settled = dict(events)["settled"]
    assert settled.pop("memory_bytes") > 1e8, "torch alone takes more"
    assert settled == {"precision": "fp32", "pooling": "mean", "device": "cpu"}


def test_words_are_counted_once_for_equal_data(
    measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    counted: list[int] = []
    count = baselines.count_words

    def counting(plan: Any) -> baselines.LinearBaseline:
        counted.append(1)
        return count(plan)

    monkeypatch.setattr(baselines, "count_words", counting)
    first, _ = measured(make_rows(200))
    results, rows = first["tf-idf"].results, list(first["tf-idf"].read_lines("predictions.jsonl"))
    again, _ = measured(make_rows(200))
    assert len(counted) == 1 and again["tf-idf"].results == results
    assert list(again["tf-idf"].read_lines("predictions.jsonl")) == rows
    measured(make_rows(201))
    assert len(counted) == 2


def test_the_untouched_model_is_the_one_that_runs_begin_with(
    compared: Comparison, tmp_path: Path
) -> None:
    """Its score is that of a run's own `untrained` baseline."""
    from welltuned.config import run_config_from
    from welltuned.training.train import run_training

    values = compared.cell("head", 0).config
    for key in ("schema_version", "output_dir"):
        del values[key]
    values["evaluation"]["untrained"] = True
    values["output_dir"] = str(tmp_path / "run")
    run = run_training(run_config_from(values))
    untouched = compared.baseline("untouched").results["test"]
    assert untouched["accuracy"] == run.results["baselines"]["untrained"]["accuracy"]
    assert untouched["log_loss"] == pytest.approx(
        run.results["baselines"]["untrained"]["log_loss"], abs=1e-5
    )


def test_numbers_are_predicted_in_their_own_units(measured: Any) -> None:
    rows = [
        {
            "text": row["text"],
            "label": 1000.5 + 10 * sum(w in WORDS[:8] for w in row["text"].split()),
        }
        for row in make_rows(200)
    ]
    runs, _ = measured(rows)
    assert runs["tf-idf"].results["test"]["r2"] > 0.7
    predictions = [row["prediction"] for row in runs["tf-idf"].read_lines("predictions.jsonl")]
    assert 990 < min(predictions) < max(predictions) < 1060


def test_several_labels_are_predicted_each_by_itself(measured: Any) -> None:
    rows = [
        {
            "text": row["text"],
            "label": [w for w in ("film", "book", "meal") if w in row["text"].split()] or ["none"],
        }
        for row in make_rows(240)
    ]
    runs, _ = measured(rows, task={"problem": "multi_label"})
    assert runs["tf-idf"].results["test"]["micro_f1"] > 0.8


def test_words_go_by_the_decision_rule_that_a_strategy_goes_by(measured: Any) -> None:
    """Labels that no word tells: where a miss is dear, they are predicted below one half."""
    draw, names = random.Random(0), ("film", "book")
    rows = [
        {"text": row["text"], "label": [name for name in names if draw.random() < 0.3]}
        for row in make_rows(200)
    ]
    costs = {name: {"false_negative": 1000} for name in names}
    task = {"problem": "multi_label", "thresholds": "costs", "costs": costs}
    runs, _ = measured(rows, task=task)
    predictions = list(runs["tf-idf"].read_lines("predictions.jsonl"))
    said = [row["probabilities"][name] for row in predictions for name in row["prediction"]]
    assert min(said) < 0.5


def test_a_class_that_only_the_test_split_lacks_is_no_matter(measured: Any) -> None:
    rows = make_rows(120)
    for row in rows[:12]:
        row["label"] = "third"
    runs, _ = measured(rows)
    assert set(runs["tf-idf"].results["test"]["per_class"]) == {"negative", "positive", "third"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["房间很干净，早餐不错。"], True),
        (["とても良い映画でした"], True),
        (["ห้องสะอาดมาก"], True),
        (["방이 매우 깨끗했어요"], False),
        (["The room was clean"], False),
        (["The 房间 was very clean"], False),
        (["", "123"], False),
    ],
)
def test_characters_are_counted_where_there_are_no_spaces(texts: list[str], expected: bool) -> None:
    assert spaceless(texts) is expected


def test_chinese_is_read_by_characters(measured: Any) -> None:
    rows = [
        {
            "text": f"{'很好' if i % 2 else '太差'}的{'房间早餐位置服务'[i % 8]}第{i}次",
            "label": i % 2,
        }
        for i in range(120)
    ]
    runs, _ = measured(rows)
    assert runs["tf-idf"].results["features"].startswith("characters, ")
    assert runs["tf-idf"].results["test"]["accuracy"] == 1
