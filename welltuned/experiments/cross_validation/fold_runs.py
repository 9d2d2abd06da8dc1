"""The runs of a cross-validation: a config for each fold, and one for the final model."""

from __future__ import annotations

import hashlib
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.runs.cross_validated import FINAL, FOLDS
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.load_data import load_data


def fold_runs(config: RunConfig) -> list[RunConfig]:
    """An ordinary run for each fold, which is its test split, in a folder inside the config's."""
    number = config.data.folds or 0
    return [_inside(config, f"{FOLDS}/{n}").of_fold(n) for n in range(number)]


def final_run(config: RunConfig) -> RunConfig:
    """The run on all folds, which has no test split."""
    untested = config.evaluation.model_copy(update={"test": False})
    return _inside(config, FINAL).of_fold("all").model_copy(update={"evaluation": untested})


def check_folds(config: RunConfig, cache: DataCache) -> str:
    """Read the data of every run; returns one hash of them.

    Raises `InputError` with the faults of the first run that has any.
    """
    digest = hashlib.sha256()
    for one in (*fold_runs(config), final_run(config)):
        faults = Faults()
        data = load_data(one, faults, cache)
        faults.raise_if_any()
        assert data is not None
        digest.update(data.splits.facts.fingerprint.encode())
    return digest.hexdigest()[:32]


def _inside(config: RunConfig, name: str) -> RunConfig:
    """The config in a folder of that name within its own, where it has one."""
    if config.output_dir is None:
        return config
    return config.model_copy(update={"output_dir": str(Path(config.output_dir) / name)})
