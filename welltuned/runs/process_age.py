"""Age of this process: who waits, waits from the moment a command is given.

The interpreter has been at work for a while before the first line of a program runs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_STAT = Path("/proc/self/stat")
_STARTED = 19
"""Which field after the name tells when the process started, in ticks since the machine did."""


def process_age() -> float:
    """Seconds since this process started; 0 where the system does not say."""
    try:
        ticks = int(_STAT.read_text().rpartition(")")[2].split()[_STARTED])
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        return max(0.0, now - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0
