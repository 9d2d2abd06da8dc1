"""HTML reports, made from run folders alone and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from welltuned.runs import Run


def write_report(run: Run, language: str | None = None) -> Path:
    """Write the report of a pipeline, of its RL stage, or of any other run.

    `language` is for ordinary runs, and without one it is that of their config.
    """
    from welltuned.reports import rl, rlhf
    from welltuned.reports import run as ordinary

    config = run.config
    if config.get("pipeline") == "rlhf":
        return rlhf.write_pipeline_report(run)
    if config.get("stage") == "rl":
        return rl.write_rl_report(run)
    return ordinary.write_run_report(run, language)
