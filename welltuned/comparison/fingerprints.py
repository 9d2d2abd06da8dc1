"""What a cell was made from, as one hash: its config, its data and the code that trains."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from welltuned.config import RunConfig

_ROOT = Path(__file__).parents[1]
_TALKS_ONLY = (
    "cli", "comparison", "console.py", "demo", "doctor.py", "export.py", "inspection.py",
    "listing.py", "live.py", "reports", "rlhf", "search",
)  # fmt: skip
"""What looks at runs or starts them, and changes none."""
_PACKAGES = ("torch", "transformers", "peft")


def fingerprint(config: RunConfig, data: str, *more: Any) -> str:
    """One hash of everything that a run's results follow from.

    Where its folder is and how its report reads do not matter, nor do the paths
    of the data, whose contents `data` stands for.
    """
    values = config.model_dump(mode="json", exclude={"output_dir", "report"})
    for split in ("train", "validation", "test"):
        del values["data"][split]
    text = json.dumps([values, data, code_version(), *more], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def code_version() -> str:
    """A hash of the code that trains, and the versions of what it trains with."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    for file in sorted(_ROOT.rglob("*")):
        where = file.relative_to(_ROOT)
        if where.parts[0] not in _TALKS_ONLY and file.suffix in (".py", ".yaml"):
            digest.update(f"{where.as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:32]
