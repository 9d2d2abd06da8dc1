"""Which report a folder gets, and what is said where there is none to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from welltuned.reports.write import write_report
from welltuned.runs import Run


@pytest.fixture
def begun(tmp_path: Path) -> Run:
    """A run that was killed before it had results."""
    run = Run.create(tmp_path / "run")
    run.set_status("running", 7)
    run.write("config.yaml", {"schema_version": 1, "strategy": {"type": "lora"}})
    run.append("metrics.jsonl", {"step": 1, "split": "train", "loss": 1.0})
    return run


def test_a_run_that_was_killed_has_no_report_and_says_how_it_stands(begun: Run) -> None:
    with refused("report.no_results", place=str(begun.folder), state="running", step=7):
        write_report(begun)
    assert not begun.report.exists()


def test_a_run_that_failed_says_why_there_is_no_report(begun: Run) -> None:
    begun.set_status("failed", 7, "the loss is not finite")
    with refused("report.no_results", state="failed", why=" (the loss is not finite)"):
        write_report(begun)


def test_of_a_pipeline_or_its_last_stage_the_same_is_said(begun: Run) -> None:
    for config in ({"pipeline": "rlhf"}, {"stage": "rl"}):
        begun.write("config.yaml", {"schema_version": 1, **config})
        with refused("report.no_results", state="running"):
            write_report(begun)
