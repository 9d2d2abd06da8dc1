"""A run in a worker, of one split or of all folds: a cell of a comparison, or a curve's point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from welltuned.config import run_config_from
from welltuned.experiments.executors.process import Tell
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingFolds, TellingObserver

TRAIN = f"{__name__}:train_run"
"""Who carries such a request out; imported in its process alone."""


def train_run(request: Mapping[str, Any], tell: Tell) -> None:
    """Train, or go on with what was interrupted, and tell how far it is."""
    from welltuned.training import train

    config = run_config_from(request["config"])
    rest = request.get("command"), shared_data(request)
    if config.data.is_cross_validated:
        from welltuned.experiments.cross_validation import cross_validate

        cross_validate.cross_validate_or_resume(config, TellingFolds(tell), *rest)
    else:
        train.train_or_resume(config, TellingObserver(tell), *rest)
