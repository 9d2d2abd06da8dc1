"""`welltuned runs`."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from welltuned.cli.console.runs import _models_of, describe_runs, runs_table
from welltuned.runs import Run
from welltuned.runs.folder import START
from welltuned.runs.ownership import owned
from welltuned.schema.units import duration_text


def make_run(folder: Path, state: str, written: float, error: str | None = None) -> Run:
    run = Run.create(folder)
    run.set_status(state, 3, error)
    os.utime(folder / "status.json", (written, written))
    return run


def shown(folder: Path, width: int = 400) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=width).print(runs_table(describe_runs(folder)))
    return buffer.getvalue()


def test_a_finished_run_is_told_with_its_score(finished: Run, sentiment: str) -> None:
    [row] = describe_runs(finished.folder.parent)
    results = finished.results
    assert row["run"] == str(finished.folder)
    assert (row["state"], row["strategy"], row["data"]) == ("finished", "partial", sentiment)
    assert row["model"] == finished.config["model"]["name"]
    assert (row["metric"], row["score"]) == ("accuracy", results["test"]["accuracy"])
    assert row["interval"] == results["test"]["accuracy_ci95"]
    assert row["seconds"] == results["cost"]["train_seconds"]
    assert row["error"] is None


def test_its_row_fits_a_terminal(finished: Run) -> None:
    text = shown(finished.folder.parent)
    test = finished.results["test"]
    low, high = test["accuracy_ci95"]
    assert f"accuracy {test['accuracy']:.3f} [{low:.3f}, {high:.3f}]" in text
    assert Path(finished.config["model"]["name"]).name in text
    assert duration_text(finished.results["cost"]["train_seconds"]) in text


def test_what_a_newer_version_has_written_is_listed_by_its_fault(tmp_path: Path) -> None:
    """It must not hide the others."""
    make_run(tmp_path / "old", "running", 1000)
    new = make_run(tmp_path / "new", "finished", 2000)
    new.write("results.json", {"schema_version": 7})
    (tmp_path / "comparison").mkdir()
    (tmp_path / "comparison" / "comparison.json").write_text('{"schema_version": 8}')
    with owned(tmp_path / "old"):
        rows = {Path(row["run"]).name: row for row in describe_runs(tmp_path)}
    assert rows["old"]["state"] == "running"
    assert rows["new"]["state"] == rows["comparison"]["state"] == "unreadable"
    assert "schema version 7" in str(rows["new"]["error"])
    assert "schema version 8" in str(rows["comparison"]["error"])
    assert "has schema version 7" in shown(tmp_path)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("status.json", ""),
        ("status.json", '{"state": "runn'),
        ("status.json", "{}"),
        ("status.json", "[]"),
        ("results.json", '{"test": '),
        ("results.json", '{"test": 3}'),
        ("config.yaml", "model: [\n"),
        ("config.yaml", "model: 3\n"),
    ],
)
def test_one_damaged_file_hides_no_other_run(file: str, text: str, tmp_path: Path) -> None:
    make_run(tmp_path / "whole", "stopped", 1000)
    damaged = make_run(tmp_path / "damaged", "finished", 2000)
    (damaged.folder / file).write_text(text)
    rows = {Path(row["run"]).name: row for row in describe_runs(tmp_path)}
    assert rows["whole"]["state"] == "stopped"
    assert rows["damaged"]["state"] == "unreadable"
    assert rows["damaged"]["error"]
    assert "damaged" in shown(tmp_path) and "whole" in shown(tmp_path)


def test_the_damaged_file_is_named(tmp_path: Path) -> None:
    (make_run(tmp_path / "run", "finished", 1000).folder / "status.json").write_text("{")
    assert "status.json: the file is damaged" in shown(tmp_path)


def test_a_damaged_comparison_hides_no_run(tmp_path: Path) -> None:
    make_run(tmp_path / "whole", "stopped", 1000)
    (tmp_path / "comparison").mkdir()
    for text in ("{", "{}", '{"rows": 3}'):
        (tmp_path / "comparison" / "comparison.json").write_text(text)
        rows = {Path(row["run"]).name: row["state"] for row in describe_runs(tmp_path)}
        assert rows == {"whole": "stopped", "comparison": "unreadable"}


def test_runs_are_listed_oldest_first_with_those_inside_others(tmp_path: Path) -> None:
    make_run(tmp_path / "b", "running", 2000)
    make_run(tmp_path / "a" / "stages" / "sft", "stopped", 3000)
    make_run(tmp_path / "c", "failed", 1000, "ValueError: no luck")
    with owned(tmp_path / "b"):
        rows = describe_runs(tmp_path)
    names = [str(Path(row["run"]).relative_to(tmp_path)) for row in rows]
    assert names == ["c", "b", os.path.join("a", "stages", "sft")]
    assert [row["state"] for row in rows] == ["failed", "running", "stopped"]
    assert rows[0]["written"].startswith("1970-01-0")


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_a_run_without_results_is_told_all_the_same(state: str, tmp_path: Path) -> None:
    make_run(tmp_path / "run", state, 1000)
    with owned(tmp_path / "run"):
        [row] = describe_runs(tmp_path)
        assert row["state"] == state
        assert (row["strategy"], row["metric"], row["score"], row["seconds"]) == (None,) * 4
        assert state in shown(tmp_path)


def test_a_run_that_was_killed_is_told_as_such_with_the_line_that_resumes_it(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", "running", 1000)
    [row] = describe_runs(tmp_path)
    assert (row["state"], row["error"]) == ("killed", "it was killed before its first step")
    run.write(START, {})
    [row] = describe_runs(tmp_path)
    assert f"`welltuned resume {run.folder}`" in str(row["error"])
    assert "killed" in shown(tmp_path)


def test_so_is_a_pipeline(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "running", 1000)
    run.write("config.yaml", {"schema_version": 1, "pipeline": "rlhf", "model": {}, "data": {}})
    [row] = describe_runs(tmp_path)
    assert f"`welltuned resume {run.folder}`" in str(row["error"])


def test_the_reason_of_a_failure_stands_where_the_score_would(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "failed", 1000, "RunFailed: the loss is not finite")
    assert "the loss is not finite" in shown(tmp_path)


@pytest.mark.parametrize("text", ["[/broken]", "[red]", "a [b] c"])
def test_brackets_are_shown_and_not_obeyed(text: str, tmp_path: Path) -> None:
    make_run(tmp_path / "run", "failed", 1000, f"KeyError: {text}")
    assert f"KeyError: {text}" in shown(tmp_path)


def test_an_empty_folder_has_no_runs(tmp_path: Path) -> None:
    assert describe_runs(tmp_path) == []
    assert describe_runs(tmp_path / "missing") == []


def test_a_comparison_is_one_row_and_its_folder_lists_its_runs(compared: Any) -> None:
    [row] = describe_runs(compared.folder.parent)
    results = compared.results
    chosen = results["recommendation"]["strategy"]
    score = next(r for r in results["rows"] if r["name"] == chosen)["scores"]["macro_f1"]
    assert (row["run"], row["state"]) == (str(compared.folder), "finished")
    assert (row["strategy"], row["metric"]) == (chosen, "macro_f1")
    assert row["score"] == score["mean"]
    assert row["runs"] == "4 of 4 runs of 2 strategies"
    assert row["seconds"] is not None and row["seconds"] > 0
    assert "4 of 4 runs of 2 strategies" in shown(compared.folder.parent)
    inside = describe_runs(compared.folder)
    assert sorted(Path(row["run"]).parent.name for row in inside) == [
        "head", "head", "lora-r=2", "lora-r=2",
    ]  # fmt: skip


def test_a_comparison_is_listed_with_the_models_that_take_part() -> None:
    asked: Any = {"asked": {"model": {"name": "auto"}}}
    one: Any = {"name": "org/a", "label": "a", "here": True, "note": None}
    gone: Any = {"name": "org/b", "label": "b", "here": False, "note": None}
    assert _models_of(asked) == "auto", "of an earlier version, or before it is known"
    alone: Any = {**asked, "models": [one, gone]}
    assert _models_of(alone) == "org/a"
    both: Any = {**asked, "models": [one, {**gone, "here": True}]}
    assert _models_of(both) == "a, b"


def test_a_comparison_that_has_just_begun_is_listed_too(tmp_path: Path, compared: Any) -> None:
    record = compared.record
    for row in record["rows"]:
        for cell in row["cells"]:
            cell |= {"state": "waiting", "seconds": None}
    begun = Run(tmp_path / "begun")
    begun.folder.mkdir()
    begun.write("comparison.json", {**record, "state": "running"})
    [row] = describe_runs(tmp_path)
    assert (row["state"], row["score"], row["strategy"]) == ("running", None, "head, lora r=2")
    assert "0 of 4 runs" in shown(tmp_path)
