"""Each at its best: the same number of trials for whatever is to be compared."""

from __future__ import annotations

import json
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.errors import Faults
from welltuned.search.config import SweepConfig
from welltuned.search.reading import with_values
from welltuned.search.sweep import SweepObserver, sweep


def tuned(
    config: RunConfig, trials: int, folder: Path, observer: SweepObserver | None = None
) -> RunConfig:
    """The config with the best values that a sweep of so many trials finds for it.

    The space is what the strategy itself declares and the config leaves open. The first trial
    is the config as it is, and only the validation split is looked at. The folder is gone on
    with where it was begun. Raises as `sweep` does.
    """
    given = {name: getattr(config, name) for name in config.model_fields_set}
    asked = SweepConfig.model_validate(
        {**given, "output_dir": str(folder), "sweep": {"trials": trials, "keep": "none"}}
    )
    sweep(asked, observer=observer)
    summary = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    best = next(trial for trial in summary["trials"] if trial["number"] == summary["best"])
    faults = Faults()
    chosen = with_values(config, best["values"], faults)
    faults.raise_if_any()
    assert chosen is not None
    return chosen
