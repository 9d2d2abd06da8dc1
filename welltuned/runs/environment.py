"""Environment of a run: versions, machine, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TypedDict

_PACKAGES = (
    "welltuned",
    "torch",
    "transformers",
    "peft",
    "datasets",
    "safetensors",
    "numpy",
    "scikit-learn",
    "pydantic",
)


class Environment(TypedDict):
    """Versions, machine and commit."""

    python: str
    platform: str
    cpu: str
    cpu_count: int | None
    memory_bytes: int | None
    packages: dict[str, str | None]
    """Their versions; None where one is not installed."""
    commit: str | None
    """None outside a checkout."""


def describe_environment() -> Environment:
    """Versions of what matters, the machine, and the commit of the code where it is a checkout."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": processor(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": _memory(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(Path(__file__).parents[2]),
    }


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """The processor's name for people."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


@cache
def _commit(root: Path) -> str | None:
    """The code's commit, with `+changes` when files differ from it; None outside a checkout.

    As it is when this process first asks: it has imported that code.
    """
    if not (root / ".git").exists():
        return None
    try:
        commit, changes = (
            _git(root, "rev-parse", "HEAD"),
            _git(root, "status", "--porcelain", "-uno"),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changes else "")


def _git(root: Path, *arguments: str) -> str:
    """What git answers in that folder. Raises what `subprocess.run` does."""
    done = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
