"""Cores that this process may use: fewer than the machine's, in a container."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores(cgroups: Path = CGROUPS) -> int:
    """The cores that this process may keep busy, by its affinity and its container's quota."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroups)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _quota(cgroups: Path) -> float | None:
    """Cores by the quota of a container (cgroups of version 2, or else 1); None without one."""
    for file, period in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            numbers = (cgroups / file).read_text(encoding="ascii").split()
            if period is not None:
                numbers += (cgroups / period).read_text(encoding="ascii").split()
            allowed, every = map(float, numbers)
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
        if allowed > 0 and every > 0:
            return allowed / every
    return None
