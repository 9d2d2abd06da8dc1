"""Comparisons for tests: carried out in this process, since each new one loads torch again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from support import config_values
from welltuned.experiments.comparison import compare as carry_out
from welltuned.experiments.comparison.compare import run_comparison
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.observer import ComparisonObserver
from welltuned.experiments.executors import process
from welltuned.experiments.executors.base import Worker
from welltuned.experiments.executors.local import LocalPool
from welltuned.rlhf import pipeline as stages
from welltuned.rlhf import rl_stage
from welltuned.runs.comparison_folder import Comparison
from welltuned.training import train

HEAD = {"type": "partial", "num_blocks": 0, "name": "head"}


_ALONE = threading.Lock()
"""Loading a model changes transformers for a moment, which two threads would leave changed."""


class Thread(Worker):
    """A worker without a process of its own; what several have to do, they do in turn."""

    def start(self) -> Worker:
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def sample(self) -> None:
        self.memory_bytes = max(self.memory_bytes, 1)

    def ask_to_stop(self) -> None:
        pass

    def stop(self) -> None:
        self._thread.join()

    def _work(self) -> None:
        try:
            with _ALONE:
                status = process.handle_request(
                    self.request, lambda event, **values: self.hear({"event": event, **values})
                )
        except Exception as error:  # a crash, as far as the comparison can see
            self.error, status = f"{type(error).__name__}: {error}", 1
        self.end(status)


def values_for(model: str, data: str, folder: Path, **parts: Any) -> dict[str, Any]:
    """A small comparison: the head alone and LoRA, two seeds, one epoch."""
    strategies = parts.pop("strategies", [HEAD, {"type": "lora", "r": 2}])
    training = {"num_train_epochs": "auto", **parts.pop("training", {})}
    values = config_values(model, data, "full", folder, training=training, **parts)
    return {
        "task": {"pooling": "mean"},
        "seeds": 2,
        "workers": 1,
        "budget": {"epochs": 1},
        "static": "off",  # a cache of the Hub may hold one
        **values,
        "strategies": strategies,
    }


def carried_out(values: dict[str, Any], observer: ComparisonObserver | None = None) -> Comparison:
    """A comparison from its values."""
    return run_comparison(comparison_from(values), observer=observer, command="welltuned compare …")


def without_processes(patch: pytest.MonkeyPatch, reports: bool = True) -> None:
    """Let workers be threads here, and draw the reports of runs only where one is read."""
    patch.setattr(LocalPool, "start", lambda pool, *asked: Thread(*asked).start())
    patch.setattr(LocalPool, "warm_up", lambda pool: None)
    if not reports:
        patch.setattr(train, "write_run_report", lambda run: None)
        patch.setattr(rl_stage, "write_rl_report", lambda run: None)
        patch.setattr(stages, "write_pipeline_report", lambda run: None)


def without_a_page(patch: pytest.MonkeyPatch) -> None:
    """Leave the comparison's own report out, where nobody reads it: it takes as long as a run."""
    patch.setattr(carry_out, "write_comparison_report", lambda comparison: None)
