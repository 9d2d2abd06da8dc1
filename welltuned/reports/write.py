"""The report of any run: which kind it gets follows from what its folder says."""

from __future__ import annotations

from pathlib import Path

from welltuned.errors import Fault, InputError, Place
from welltuned.reports import rl_folder
from welltuned.reports.rl import write_rl_report
from welltuned.reports.rlhf import write_pipeline_report
from welltuned.reports.run import write_run_report
from welltuned.runs import Run


def write_report(run: Run, language: str | None = None) -> Path:
    """Write the report of a pipeline, of its RL stage, or of any other run.

    Without a `language` it is that of the run's config. Raises `InputError` where the run has
    come to no results.
    """
    _require_results(run)
    config = run.config
    if config.get("pipeline") == "rlhf":
        return write_pipeline_report(run, language)
    if rl_folder.is_stage(config):
        return write_rl_report(run, language)
    return write_run_report(run, language)


def _require_results(run: Run) -> None:
    if run.results:
        return
    error = run.status.get("error")
    raise InputError(
        Fault(
            "report.no_results",
            "the run has no results to report: it is {state} at step {step}{why}",
            Place(str(run.folder)),
            "wait for it, or train again; what was measured by then is in metrics.jsonl",
            state=run.state,
            step=run.step,
            why=f" ({error})" if error else "",
        )
    )
