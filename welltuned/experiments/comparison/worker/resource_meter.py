"""Resource meter: memory of a cell's processes, and energy where it can be read."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

_PROC = Path("/proc")
_RAPL = Path("/sys/class/powercap")


def tree_memory(process: int) -> int:
    """Bytes resident in a process and all its descendants; 0 where the system does not tell."""
    total, waiting = 0, [process]
    while waiting:
        current = waiting.pop()
        try:
            pages = int((_PROC / f"{current}/statm").read_text().split()[1])
            tasks = list((_PROC / f"{current}/task").iterdir())
            for task in tasks:
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, ValueError, IndexError):
            continue  # it has ended meanwhile, or this is not Linux
        total += pages * _page_size()
    return total


def _page_size() -> int:
    import os

    return os.sysconf("SC_PAGE_SIZE")


class EnergyMeter:
    """Joules that processors and GPUs of this machine have used since it was made.

    The counters are the machine's: what else runs is counted too. None where no
    counter can be read.
    """

    def __init__(self) -> None:
        self._packages = {zone: _read_rapl(zone) for zone in _rapl_zones()}
        self._gpus = _read_gpus()

    def joules(self) -> float | None:
        """Used so far; None where the machine does not tell."""
        if not self._packages and not self._gpus:
            return None
        used = sum(_since(zone, start) for zone, start in self._packages.items()) / 1e6
        return used + sum(now - start for now, start in zip(_read_gpus(), self._gpus, strict=True))


def _rapl_zones() -> list[Path]:
    """Whole processor packages (`intel-rapl:0`; AMD's are called so too) that may be read."""
    zones = []
    for zone in sorted(_RAPL.glob("intel-rapl:[0-9]*")):
        try:
            if ":" not in zone.name.removeprefix("intel-rapl:") and _read_rapl(zone) >= 0:
                zones.append(zone)
        except (OSError, ValueError):
            continue  # readable by root alone on most systems
    return zones


def _read_rapl(zone: Path) -> int:
    return int((zone / "energy_uj").read_text())


def _since(zone: Path, start: int) -> int:
    """Microjoules since `start`; the counter begins again at its range."""
    now = _read_rapl(zone)
    return now - start if now >= start else now - start + _range(zone)


def _range(zone: Path) -> int:
    return int((zone / "max_energy_range_uj").read_text())


def _read_gpus() -> list[float]:
    """Joules of each NVIDIA GPU since its driver was loaded, through NVML; none without it."""
    library: Any
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return []
    if library.nvmlInit_v2():
        return []
    count = ctypes.c_uint()
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return []
    joules = []
    for index in range(count.value):
        device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
            return []
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
            return []
        joules.append(millijoules.value / 1e3)
    return joules
