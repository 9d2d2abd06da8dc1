"""What remains of a run: a folder on disk, and the only thing that reports and pages read."""

from welltuned.runs.folder import Run, list_runs

__all__ = ["Run", "list_runs"]
