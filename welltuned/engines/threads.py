"""Threads of a CPU: no more than this process may use.

torch starts one for each core of the machine. In a container that is allowed two cores of
sixty-four, sixty-four threads then wait for each other in every product.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from welltuned.runs.usable_cores import CGROUPS, usable_cores

_SAID = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Whoever sets one of these has chosen."""


def keep_to_usable_cores(cgroups: Path = CGROUPS) -> None:
    """Give torch no more threads than there are usable cores, unless the environment says more."""
    if any(os.environ.get(name) for name in _SAID):
        return
    cores = usable_cores(cgroups)
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


@contextmanager
def restored_threads() -> Iterator[int]:
    """How many threads torch computes with, and will again, whatever is set for others meanwhile.

    torch keeps the number by thread, but that of its matrix library for all of them.
    """
    threads = torch.get_num_threads()
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
