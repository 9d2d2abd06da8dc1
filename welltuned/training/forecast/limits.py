"""Limits of a plan: `memory=4GiB time=30m disk=2GB`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.errors import Faults, Place
from welltuned.runs import process_memory as memory

if TYPE_CHECKING:
    import torch

    from welltuned.training.forecast.forecast import Forecast

_UNITS = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
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
        found[key] = value = _seconds(text) if key == "time" else _size(text)
        if not value:
            faults.add(
                f"'{key}' is {text!r}",
                Place(f"argument '{argument}'"),
                "write such as time=90s, 30m or 1h30m" if key == "time" else "write such as 4GiB",
            )
    return Limits(**found), others


def _size(text: str) -> float | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if match is None or match[2] not in _UNITS:
        return None
    return float(match[1]) * _UNITS[match[2]]


def _seconds(text: str) -> float | None:
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*", text)
    if "".join(number + unit for number, unit in parts) != re.sub(r"\s", "", text):
        return None
    if not all(unit in _SECONDS for _, unit in parts):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) or None
