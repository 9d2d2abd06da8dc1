"""Run folders on disk: the only thing that reports read."""

from welltuned.runs.folder import Run, list_runs

__all__ = ["Run", "list_runs"]
