"""What one process has read, another finds in the folder that its request names."""

from __future__ import annotations

from pathlib import Path

from welltuned.data.config import DataConfig
from welltuned.errors import Faults
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.runs.code_version import code_version
from welltuned.tasks import TASKS
from welltuned.training.preparation.data_cache import JOURNAL, DataCache


def test_it_is_read_once(sentiment: str, tmp_path: Path) -> None:
    config, task = DataConfig(train=sentiment), TASKS.own["classification"]()
    first = DataCache(version=code_version())
    first.share(tmp_path)
    for cache in (first, shared_data({"data": str(tmp_path)})):
        assert cache.splits(config, task, Faults()) is not None
    assert len((tmp_path / JOURNAL).read_text().splitlines()) == 1


def test_without_a_folder_nothing_is_there() -> None:
    assert shared_data({}).folder is None
