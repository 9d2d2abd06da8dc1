"""Cache key of a cell: one hash of its config, its data and the code that affects results."""

from __future__ import annotations

import hashlib
import json

from welltuned.config import RunConfig
from welltuned.runs.code_version import code_version


def cell_key(config: RunConfig, data: str, *more: object) -> str:
    """One hash of everything that a run's results follow from.

    Where its folder is, how its report reads and whom it reports to do not matter, nor do the
    paths of the data, whose contents `data` stands for.
    """
    values = config.model_dump(mode="json", exclude={"output_dir", "report"})
    del values["training"]["report_to"]
    for split in ("train", "validation", "test"):
        del values["data"][split]
    text = json.dumps([values, data, code_version(), *more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
