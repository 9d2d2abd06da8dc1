"""The data step: from files to three splits of records, and the problem that they pose."""

from __future__ import annotations

from dataclasses import dataclass

from welltuned.config import RunConfig
from welltuned.data.load_splits import DataSplits
from welltuned.errors import Faults
from welltuned.tasks import Problem
from welltuned.training.preparation.data_cache import DataCache


@dataclass(frozen=True)
class TaskData:
    """Three splits, and the task bound to the labels in them."""

    splits: DataSplits
    problem: Problem


def load_data(config: RunConfig, faults: Faults, cache: DataCache) -> TaskData | None:
    """Read, clean and split the data, and find its labels. None with faults; they are recorded."""
    splits = cache.splits(config.data, config.task, faults)
    if splits is None:
        return None
    problem = config.task.bind(splits, config.training.label_smoothing_factor, faults)
    return None if problem is None else TaskData(splits, problem)
