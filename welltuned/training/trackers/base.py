"""What every tracker is told of a run, and how."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

PROJECT = "welltuned"
"""Where runs are told of unless the tracker's own settings name another project."""
End = Literal["finished", "failed", "stopped"]


@dataclass(frozen=True)
class TrackedRun:
    """A run, as a tracker is told of it before its first step."""

    name: str
    group: str | None
    """The comparison, sweep or pipeline that it is one run of."""
    folder: Path
    config: Mapping[str, Any]
    """Resolved, and without secrets."""
    known_as: str | None = None
    """What the tracker called it when it began; None where it begins now."""

    @property
    def settings(self) -> dict[str, bool | int | float | str]:
        """The config as one level of dotted keys; lists are JSON, and what is not set is left out.

        >>> TrackedRun("a", None, Path("a"), {"task": {"k": [1], "x": None}}).settings
        {'task.k': '[1]'}
        """
        return dict(_dotted(self.config))


class Tracker(ABC):
    """One tool in which people watch their runs; every method may fail."""

    package: ClassVar[str]
    """What `import` takes, and pip."""

    @abstractmethod
    def begin(self, run: TrackedRun) -> str:
        """Begin a run, or go on with one that is known already. Returns what it is known as."""

    @abstractmethod
    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers of a step, such as `train/loss` and `validation/accuracy`."""

    def conclude(self, step: int, numbers: Mapping[str, float]) -> None:
        """What came of it after its last step, such as `test/accuracy`; as numbers of that step,
        unless a tool has a place of its own for it."""
        self.log(step, numbers)

    @abstractmethod
    def end(self, how: End) -> None:
        """Nothing more is told; all that was told is on its way when this returns."""


def _dotted(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from _dotted(value, name)
        elif isinstance(value, (list, tuple)):
            yield name, json.dumps(value, ensure_ascii=False, default=str)
        elif value is not None:
            yield name, value if isinstance(value, (bool, int, float, str)) else str(value)
