"""Files of real runs and comparisons are what their types say, field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    BaselineResults,
    ComparisonRecord,
    ComparisonResults,
)
from welltuned.runs.results_schema import RunResults

TESTS = Path(__file__).parents[1]
RECORDED = json.loads((TESTS / "golden" / "recorded.json").read_text(encoding="utf-8"))["runs"]
FIXTURES = sorted((TESTS / "artifact" / "fixtures").glob("*/*/results.json"))
RESULTS = TypeAdapter(RunResults)
OF_PROTECTIONS: set[str] = set()
"""Fields of protections whose results have no type of their own."""
CLOCKS = {
    "train_seconds": 1.0,
    "examples_per_second": 1.0,
    "tokens_per_second": 1.0,
    "peak_memory_bytes": 1,
    "artifact_bytes": 1,
}
"""What golden runs leave out of `cost`."""


def require_typed(results: dict[str, Any]) -> None:
    RESULTS.validate_python(results)
    assert set(results) <= set(RunResults.__annotations__) | OF_PROTECTIONS


@pytest.mark.parametrize("task", sorted({name.split("/")[0] for name in RECORDED}))
def test_recorded_runs_of_every_task_and_strategy_fit(task: str) -> None:
    runs = [one for name, one in RECORDED.items() if name.startswith(f"{task}/")]
    assert runs
    for one in runs:
        results = one["results"]
        require_typed({**results, "cost": {**CLOCKS, **results["cost"]}})


@pytest.mark.parametrize("file", FIXTURES, ids=lambda file: "/".join(file.parts[-3:-1]))
def test_files_of_earlier_versions_fit(file: Path) -> None:
    require_typed(json.loads(file.read_text(encoding="utf-8")))


def test_runs_of_today_fit(finished: Run, adapted: Run) -> None:
    for run in (finished, adapted):
        require_typed(dict(run.results))


def test_a_comparison_of_today_fits(compared: Comparison) -> None:
    TypeAdapter(ComparisonRecord).validate_python(compared.record)
    TypeAdapter(ComparisonResults).validate_python(compared.results)
    baselines = sorted(folder.name for folder in (compared.folder / "baselines").iterdir())
    assert baselines
    for name in baselines:
        TypeAdapter(BaselineResults).validate_python(compared.baseline(name).read("results.json"))
    for row in compared.results["rows"]:
        for seed in row["seeds"]:
            require_typed(dict(compared.cell(row["slug"], seed).results))


@pytest.mark.parametrize(
    ("field", "value"),
    [("metric", 3), ("cost", {}), ("proof", None), ("training", {"steps": 1, "step": 1})],
)
def test_what_does_not_fit_is_noticed(field: str, value: Any) -> None:
    results = json.loads(FIXTURES[0].read_text(encoding="utf-8"))
    with pytest.raises(ValidationError):
        require_typed({**results, field: value})
