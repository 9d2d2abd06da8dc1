"""Resident memory of this process, now and at its peak."""

from __future__ import annotations

import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def forget_peak() -> bool:
    """Let the peak begin anew, so that a run is not charged with what came before it.

    Returns whether the system can do that; only Linux can.
    """
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def held() -> int:
    """Bytes of memory the process holds now; 0 where the system does not say."""
    return _read("VmRSS")


def held_at_start(device: str) -> int:
    """Bytes the process holds before a model comes; on a GPU, whose memory is another, 0."""
    return 0 if device == "cuda" else held()


def peak() -> int:
    """The most bytes it held since `forget_peak`, or else since it started; 0 where unknown."""
    if found := _read("VmHWM"):
        return found
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def available() -> int | None:
    """Bytes this process could still get, a container's limit included; None where unknown."""
    found = [_value(Path("/proc/meminfo"), "MemAvailable"), _left_in_group()]
    return min((left for left in found if left is not None), default=None)


def left_on(device: str) -> int | None:
    """Bytes still to be had where models live: on the GPU, or else in this process."""
    if device != "cuda":
        return available()
    import torch

    return int(torch.cuda.mem_get_info()[0])


def _left_in_group() -> int | None:
    """What a control group (a container) leaves; None where there is no limit."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        rows = (folder / "memory.stat").read_text().split()
        return limit - used + int(rows[rows.index("inactive_file") + 1])  # files can be let go
    except (OSError, ValueError):  # no group, or `max`
        return None


def _read(name: str) -> int:
    return _value(_STATUS, name) or 0


def _value(file: Path, name: str) -> int | None:
    """A line `NAME:  123 kB` of a file of the kernel's, in bytes."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith(f"{name}:")), None)
    return int(found.split()[1]) * 1024 if found else None
