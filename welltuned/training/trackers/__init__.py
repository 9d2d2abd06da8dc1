"""Trackers: tools in which people watch their runs, told what metrics.jsonl holds, and the end."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from welltuned.engines.config import TrackerName
from welltuned.errors import Faults
from welltuned.training.trackers.base import End, TrackedRun, Tracker
from welltuned.training.trackers.mlflow import MLflow
from welltuned.training.trackers.swanlab import SwanLab
from welltuned.training.trackers.tensorboard import TensorBoard
from welltuned.training.trackers.trackio import Trackio
from welltuned.training.trackers.wandb import WeightsAndBiases

__all__ = ["TRACKERS", "End", "TrackedRun", "Tracker", "check_trackers", "installed_trackers"]

TRACKERS: Mapping[TrackerName, type[Tracker]] = MappingProxyType(
    {
        "tensorboard": TensorBoard,
        "wandb": WeightsAndBiases,
        "mlflow": MLflow,
        "trackio": Trackio,
        "swanlab": SwanLab,
    }
)
"""By the names that `training.report_to` takes; each imports its package when a run begins."""


def installed_trackers() -> list[TrackerName]:
    """Those whose packages are installed."""
    return [name for name, one in TRACKERS.items() if importlib.util.find_spec(one.package)]


def check_trackers(names: Sequence[TrackerName], faults: Faults) -> None:
    """Record each whose package is not installed."""
    installed = installed_trackers()
    for name in names:
        if name not in installed:
            faults.add(
                "training.tracker_missing",
                "'training.report_to' names {name}, and {package} is not installed",
                None,
                "pip install {package}, or 'welltuned[trackers]' for all trackers",
                name=name,
                package=TRACKERS[name].package,
            )
