"""The report of any run: which kind it gets follows from what its folder says."""

from __future__ import annotations

from pathlib import Path

from welltuned.reports import rl_folder
from welltuned.reports.rl import write_rl_report
from welltuned.reports.rlhf import write_pipeline_report
from welltuned.reports.run import write_run_report
from welltuned.runs import Run


def write_report(run: Run, language: str | None = None) -> Path:
    """Write the report of a pipeline, of its RL stage, or of any other run.

    `language` is for ordinary runs, and without one it is that of their config.
    """
    config = run.config
    if config.get("pipeline") == "rlhf":
        return write_pipeline_report(run)
    if rl_folder.is_stage(config):
        return write_rl_report(run)
    return write_run_report(run, language)
