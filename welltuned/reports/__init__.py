"""HTML reports, made from run folders alone and without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from welltuned.runs import Run


def write_report(run: Run, language: str | None = None) -> Path:
    """Write the report that a run's kind calls for: a pipeline's, PPO's, or any other run's.

    `language` is for ordinary runs, and without one it is that of their config.
    """
    from welltuned.reports import ppo, rlhf
    from welltuned.reports import run as ordinary

    config = run.config
    if config.get("pipeline") == "rlhf":
        return rlhf.write_pipeline_report(run)
    if config.get("stage") == "ppo":
        return ppo.write_ppo_report(run)
    return ordinary.write_run_report(run, language)
