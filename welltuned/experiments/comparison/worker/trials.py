"""Hyper-parameter trials of one strategy, in a worker process."""

from __future__ import annotations

from pathlib import Path

from welltuned.config import run_config_from
from welltuned.experiments.comparison.worker.observers import TellingTrials
from welltuned.experiments.comparison.worker.protocol import Request, shared_data
from welltuned.experiments.executors.process import Tell
from welltuned.experiments.search.best_of import find


def find_best(request: Request, tell: Tell) -> None:
    """Carry out the trials, and tell what they found."""
    watching = TellingTrials(tell, request["name"], request["trials"])
    folder = Path(request["folder"])
    best = find(
        run_config_from(request["config"]),
        request["trials"],
        folder,
        watching,
        shared_data(request),
    )
    tell("tuned", **best.as_dict())
