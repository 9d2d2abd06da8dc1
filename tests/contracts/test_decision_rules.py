"""A decision rule from a config to an answer: fitted, kept in the artifact, applied, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import welltuned as wt
from support import make_rows, tune, write_rows
from welltuned.artifact.answers import ABSTAINED
from welltuned.artifact.manifest import CARD
from welltuned.cli.console.run import results_lines
from welltuned.deployment.export.run_export import export_run
from welltuned.runs import Run
from welltuned.runs.results_schema import RunResults

LABELS = ("film", "book", "meal")
COSTS = {
    "negative": {"negative": 0.0, "positive": 3.0},
    "positive": {"negative": 1.0, "positive": 0.0},
}


@pytest.fixture(scope="module")
def single(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("single")
    data = write_rows(folder / "data.jsonl", make_rows(160))
    task = {
        "pooling": "mean",
        "temperature_scaling": True,
        "costs": {"negative": {"positive": 3}},
        "abstain_below": 0.75,
        "focal_gamma": 1.0,
    }
    run: Run = tune(tiny("bert"), data, "full", folder / "run", task=task)
    return run


@pytest.fixture(scope="module")
def several(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("several")
    rows = [
        {"text": row["text"], "label": [word for word in LABELS if word in row["text"].split()]}
        for row in make_rows(400)
    ]
    file = write_rows(folder / "data.jsonl", rows)
    data: Any = {"train": file, "split": {"validation": 0.3, "test": 0.2}}
    task = {
        "problem": "multi_label",
        "pooling": "mean",
        "class_weights": "auto",
        "thresholds": "f1",
        "temperature_scaling": True,
    }
    run: Run = tune(tiny("bert"), data, "full", folder / "run", task=task)
    return run


def remembered(run: Run) -> dict[str, Any]:
    manifest = json.loads((run.model / "welltuned.json").read_text(encoding="utf-8"))
    return dict(manifest["task"]["decision_rule"])


@pytest.mark.parametrize("kind", ["single", "several"])
def test_the_artifact_has_the_rule_that_the_results_tell(
    kind: str, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(kind)
    TypeAdapter(RunResults).validate_python(dict(run.results))
    told = dict(run.results["decision_rule"])
    effect: Any = told.pop("effect")
    assert told == remembered(run)
    assert set(effect) == {"validation", "test"}
    assert json.dumps(told, indent=2) in (run.model / CARD).read_text(encoding="utf-8")
    assert any(line.startswith("rule ") for line in results_lines(run))
    assert 'id="decision-rule"' in run.report.read_text(encoding="utf-8")


def test_one_label_is_answered_by_costs_or_not_at_all(single: Run) -> None:
    rule = remembered(single)
    assert rule["costs"] == COSTS and rule["abstain_below"] == 0.75
    rows = list(single.read_lines("predictions.jsonl"))
    answers = wt.load(single).predict([row["text"] for row in rows])
    for row, answer in zip(rows, answers, strict=True):
        chances = row["probabilities"]
        costly = 3 * chances["negative"] > chances["positive"]
        assert row["prediction"] == ("negative" if costly else "positive")
        unsure = max(chances.values()) < 0.75
        assert row.get("abstained", False) == unsure
        assert answer["prediction"] == (None if unsure else row["prediction"])
        assert answer.get("code") == (ABSTAINED if unsure else None)
    answered = sum("abstained" not in row for row in rows) / len(rows)
    effect = single.results["decision_rule"]["effect"]["test"]
    assert effect["coverage"] == pytest.approx(answered)
    scores, change = single.results["test"], effect["scores"]["calibration_error"]
    assert change["after"] == pytest.approx(scores["calibration_error"])


def test_several_labels_are_answered_by_their_thresholds(several: Run) -> None:
    thresholds = remembered(several)["thresholds"]
    assert set(thresholds) == set(LABELS) and set(thresholds.values()) != {0.5}
    rows = list(several.read_lines("predictions.jsonl"))
    answers = wt.load(several).predict([row["text"] for row in rows])
    assert [one["prediction"] for one in answers] == [row["prediction"] for row in rows]
    for row in rows:
        above = [name for name, p in row["probabilities"].items() if p > thresholds[name]]
        assert row["prediction"] == above
    found: Any = several.results["decision_rule"]["effect"]["validation"]["scores"]["macro_f1"]
    assert found["after"] >= found["before"]
    change = several.results["decision_rule"]["effect"]["test"]["scores"]["macro_f1"]
    assert change["after"] == pytest.approx(several.results["test"]["macro_f1"])


def test_a_plain_folder_carries_the_rule_beside_it(single: Run, tmp_path: Path) -> None:
    target = export_run(single.folder, "plain", tmp_path / "plain")
    told = json.loads((target / "decision_rule.json").read_text(encoding="utf-8"))
    assert told == remembered(single)


def test_a_run_that_asks_for_no_rule_has_none(finished: Run) -> None:
    assert "decision_rule" not in finished.results
    manifest = json.loads((finished.model / "welltuned.json").read_text(encoding="utf-8"))
    assert "decision_rule" not in manifest["task"]
