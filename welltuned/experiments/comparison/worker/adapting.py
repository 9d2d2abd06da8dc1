"""Adapting a model in a worker, for all cells that start from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.experiments.adaptation.checkpoint import Checkpoint, make
from welltuned.experiments.adaptation.pipeline import read_and_check
from welltuned.experiments.adaptation.read_config import adapt_config_from
from welltuned.experiments.comparison.worker.protocol import Request
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver
from welltuned.training.train import train_or_resume

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell


def adapt_model(request: Request, tell: Tell) -> None:
    """Make the adapted model unless it is there. Tells `adapted`, with its folder and its cost."""
    config, cache = adapt_config_from(request["config"]), shared_data(request)
    observer = TellingObserver(tell)
    reading = read_and_check(config, observer, cache)
    folder = config.adaptation.folder
    assert folder is not None, "the comparison names one"
    checkpoint = Checkpoint.of(config, reading, beside=Path(folder))
    record = make(checkpoint, train_or_resume, observer, None, cache)
    tell("adapted", model=str(checkpoint.model), texts=record["texts"], seconds=record["seconds"])
