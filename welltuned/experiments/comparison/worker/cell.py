"""An ordinary run as a cell of a comparison."""

from __future__ import annotations

from welltuned.config import run_config_from
from welltuned.experiments.comparison.worker.observers import TellingObserver
from welltuned.experiments.comparison.worker.protocol import Request, shared_data
from welltuned.experiments.executors.process import Tell
from welltuned.training import train


def train_cell(request: Request, tell: Tell) -> None:
    """Train, and tell how far it is."""
    config, observer = run_config_from(request["config"]), TellingObserver(tell)
    train.run_training(config, observer, request["command"], shared_data(request))
