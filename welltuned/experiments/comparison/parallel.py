"""How many cells run side by side, with how many threads each, and whether memory has room."""

from __future__ import annotations

from collections.abc import Iterable

from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.executors.base import Worker
from welltuned.runs import process_memory
from welltuned.runs.comparison_schema import SharedSettings


def workers_for(config: CompareConfig, cells: int, device: str, cores: int) -> int:
    """As configured; `auto` is one cell a core on a CPU.

    One where cells share a GPU, or where their budget is a time: that has to be measured alone.
    """
    if config.workers != "auto":
        return config.workers
    timed = config.budget is not None and config.budget.time is not None
    return 1 if timed or device != "cpu" else max(1, min(cores, cells))


def settle_threads(config: CompareConfig, cells: int, settled: SharedSettings, cores: int) -> int:
    """Note how many threads all cells have, unless it was noted before; returns the workers."""
    workers = workers_for(config, cells, settled.get("device", "cpu"), cores)
    if config.threads is not None or "threads" not in settled:
        settled["threads"] = threads_for(config, workers, cores)
    return workers


def threads_for(config: CompareConfig, workers: int, cores: int) -> int:
    """Threads of each cell, so that together they have the whole machine."""
    return config.threads or max(1, cores // workers)


class Room:
    """Memory for one cell more, as far as can be told from those that have run.

    Before the first has ended it is told from the untouched model: what its process held, and
    four times its weights for gradients, an optimizer and the best checkpoint.
    """

    def __init__(self, settled: SharedSettings) -> None:
        self._needed = settled.get("memory_bytes", 0)
        self._is_measured = False

    def learn(self, memory_bytes: int) -> None:
        """A cell has ended, and held so much."""
        most = max(self._needed, memory_bytes) if self._is_measured else memory_bytes
        self._needed, self._is_measured = most, True

    def has_one_more(self, running: Iterable[Worker]) -> bool:
        """Whether another cell fits beside these, which may still grow."""
        left = process_memory.available()
        if left is None:
            return True
        to_come = sum(max(0, self._needed - worker.memory_bytes) for worker in running)
        return left - to_come >= self._needed
