"""An ordinary run in a worker: a cell of a comparison, or a point of a learning curve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from welltuned.config import run_config_from
from welltuned.experiments.executors.process import Tell
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver

TRAIN = f"{__name__}:train_run"
"""Who carries such a request out; imported in its process alone."""


def train_run(request: Mapping[str, Any], tell: Tell) -> None:
    """Train, or go on with what was interrupted, and tell how far it is."""
    from welltuned.training import train

    config, observer = run_config_from(request["config"]), TellingObserver(tell)
    train.train_or_resume(config, observer, request.get("command"), shared_data(request))
