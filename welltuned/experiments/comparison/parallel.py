"""How many cells run side by side, and with how many threads each."""

from __future__ import annotations

from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.executors.base import Pool
from welltuned.experiments.executors.side_by_side import Room, room_in, threads_for
from welltuned.runs.comparison_schema import SharedSettings


def workers_for(config: CompareConfig, cells: int, device: str, cores: int) -> int:
    """As configured; `auto` is one cell a core on a CPU.

    One where cells share a GPU, or where their budget is a time: that has to be measured alone.
    """
    if config.workers != "auto":
        return config.workers
    return 1 if config.is_timed or device != "cpu" else max(1, min(cores, cells))


def settle_threads(config: CompareConfig, cells: int, settled: SharedSettings, cores: int) -> int:
    """Note how many threads all cells have, unless it was noted before; returns the workers."""
    workers = workers_for(config, cells, settled.get("device", "cpu"), cores)
    if config.threads is not None or "threads" not in settled:
        settled["threads"] = threads_for(config.threads, workers, cores)
    return workers


def room_of_cells(config: CompareConfig, settled: SharedSettings, pool: Pool) -> Room | None:
    """Memory to be looked at before a cell or a trial begins, if any.

    Before the first has ended it is told from the untouched model: what its process held, and
    four times its weights for gradients, an optimizer and the best checkpoint.
    """
    return room_in(pool, config.workers, settled.get("memory_bytes", 0))
