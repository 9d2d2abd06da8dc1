"""Comparisons for tests: carried out in this process, since each new one loads torch again."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from support import config_values
from welltuned.comparison import carry_out, planning, process
from welltuned.comparison.carry_out import compare
from welltuned.comparison.config import comparison_from
from welltuned.comparison.metering import EnergyMeter
from welltuned.comparison.observer import ComparisonObserver
from welltuned.comparison.worker import Event, Worker
from welltuned.runs.comparison import Comparison

HEAD = {"type": "partial", "num_blocks": 0, "name": "head"}


class LocalWorker(Worker):
    """A worker without a process of its own."""

    def start(self) -> Worker:
        self._started = time.monotonic()
        self._energy = EnergyMeter()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def sample(self) -> None:
        self.memory_bytes = max(self.memory_bytes, 1)

    def stop(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        def tell(event: str, **values: Any) -> None:
            self._hear({"event": event, **values})
            self.events.put(Event(self, event, values))

        try:
            status = process.carry_out(self.request, tell)
        except Exception as error:  # a crash, as far as the comparison can see
            self.error, status = f"{type(error).__name__}: {error}", 1
        ended = {"status": status, "seconds": self.seconds, "joules": None}
        self.events.put(Event(self, "ended", {**ended, "error": self._reason(status)}))


def values_for(model: str, data: str, folder: Path, **parts: Any) -> dict[str, Any]:
    """A small comparison: the head alone and LoRA, two seeds, one epoch."""
    strategies = parts.pop("strategies", [HEAD, {"type": "lora", "r": 2}])
    training = {"num_train_epochs": "auto", **parts.pop("training", {})}
    values = config_values(model, data, "full", folder, training=training, **parts)
    return {
        "task": {"pooling": "mean"},
        "seeds": 2,
        "budget": {"epochs": 1},
        **values,
        "strategies": strategies,
    }


def carried_out(values: dict[str, Any], observer: ComparisonObserver | None = None) -> Comparison:
    """A comparison from its values."""
    return compare(comparison_from(values), observer=observer, command="welltuned compare …")


def without_processes(patch: pytest.MonkeyPatch) -> None:
    """Let workers work in this process."""
    patch.setattr(carry_out, "Worker", LocalWorker)
    patch.setattr(planning, "Worker", LocalWorker)
