"""Limits of a plan: `memory=4GiB time=30m disk=2GB`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.errors import Faults, Place
from welltuned.runs import process_memory as memory
from welltuned.schema.units import read_duration, read_size

if TYPE_CHECKING:
    import torch

    from welltuned.training.forecast.forecast import Forecast

_KEYS = ("memory", "time", "disk")


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds; None where there is no limit."""

    memory: float | None = None
    time: float | None = None
    disk: float | None = None

    def or_what_is_left(self, folder: Path, device: torch.device, held: int) -> Limits:
        """Where no limit is given, what this machine has left is that of memory and disk.

        `held` is what this process holds of it already.
        """
        place = next(p for p in (folder, *folder.parents, Path(".")) if p.exists())
        left = memory.left_on(device.type)
        return Limits(
            memory=self.memory or (left + held if left is not None else None),
            time=self.time,
            disk=self.disk or shutil.disk_usage(place).free,
        )

    def exceeded_by(self, found: Forecast) -> tuple[str, ...]:
        """The names of those that a run would not keep."""
        needed = {"memory": found.memory.total, "time": found.seconds, "disk": found.disk_bytes}
        limits = {"memory": self.memory, "time": self.time, "disk": self.disk}
        return tuple(
            name for name, limit in limits.items() if limit is not None and needed[name] > limit
        )


def take_limits(arguments: Iterable[str], faults: Faults) -> tuple[Limits, list[str]]:
    """(the limits among `key=value` arguments, the other arguments)."""
    found: dict[str, float | None] = {}
    others = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or key not in _KEYS:
            others.append(argument)
            continue
        found[key] = value = _read(key, text)
        if not value:
            faults.add(
                "plan.bad_limit",
                "'{key}' is {written!r}",
                Place(f"argument '{argument}'"),
                "write it as {example}",
                key=key,
                written=text,
                example="90s, 30m or 1h30m" if key == "time" else "4GiB",
            )
    return Limits(**found), others


def _read(key: str, text: str) -> float | None:
    try:
        return read_duration(text) if key == "time" else read_size(text)
    except ValueError:
        return None
