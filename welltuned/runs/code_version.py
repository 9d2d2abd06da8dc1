"""Version of the code that trains, as one hash: what another one has left is not taken up."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_CHANGES_RESULTS = (
    "config.py", "data", "schema", "metrics", "models", "strategies", "tasks", "evaluation",
    "protection", "engines", "artifact",
    "training/auto_tune.py", "training/preparation", "training/results.py",
    "training/retention_steps.py", "training/session", "training/train.py",
)  # fmt: skip
"""The folders and files whose code a run's results follow from."""
_PACKAGES = ("torch", "transformers", "peft")


@cache
def code_version(*also: str) -> str:
    """A hash of the code that trains, and the versions of what it trains with.

    `also` are folders that most runs do not use: `rlhf`, `experiments/search`.
    """
    digest = hashlib.sha256()
    for package in _PACKAGES:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    for file in source_files(*also):
        name = file.relative_to(_ROOT).as_posix()
        digest.update(f"{name}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:32]


def source_files(*also: str) -> list[Path]:
    """The files whose code changes results, in order."""
    files = {
        file
        for name in (*_CHANGES_RESULTS, *also)
        for file in ([_ROOT / name] if (_ROOT / name).is_file() else (_ROOT / name).rglob("*"))
        if file.suffix in (".py", ".yaml")
    }
    return sorted(files)
