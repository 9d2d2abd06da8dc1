"""Interrupting a run at a step, and comparing what it left with that of one never interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from welltuned.engines.events import Step
from welltuned.engines.snapshot import Snapshot
from welltuned.runs import Run
from welltuned.runs.checkpoints import load_checkpoint, load_tensors, save_checkpoint
from welltuned.schema.differences import differences
from welltuned.training.observer import Observer

CLOCKS = {
    "seconds", "train_seconds", "examples_per_second", "tokens_per_second", "phases",
    "hardware_efficiency", "peak_memory_bytes", "memory_at_start_bytes", "milliseconds",
    "command",
    "artifact_bytes",
    "before_resuming", "cpu_seconds",
}  # fmt: skip
"""What tells of this machine, this hour and this folder, and may differ."""


class Killed(BaseException):
    """Nothing may catch it, as nothing catches a kill."""


class Killing(Observer):
    """Ends the process's work after so many steps, without warning."""

    def __init__(self, step: int) -> None:
        self._step = step

    def stepped(self, step: Step) -> None:
        if step.step == self._step:
            raise Killed


class Signalling(Observer):
    """Sends this process a signal once, after so many steps."""

    def __init__(self, step: int, number: int = signal.SIGTERM) -> None:
        self._step, self._number = step, number

    def stepped(self, step: Step) -> None:
        if step.step == self._step:
            os.kill(os.getpid(), self._number)


class Notes(Observer):
    """Keeps the notes for the user."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def noted(self, text: str) -> None:
        self.told.append(text)


def saved_and_read(snapshot: Snapshot, folder: Path) -> Snapshot:
    """As a run's folder gives it back: safetensors and JSON."""
    tensors = {"optimizer": snapshot.optimizer, "random": snapshot.random}
    path = save_checkpoint(folder, snapshot.step, snapshot.weights, snapshot.numbers, **tensors)
    weights, state = load_checkpoint(path)
    return Snapshot(
        snapshot.step, weights, load_tensors(path, "optimizer"), load_tensors(path, "random"), state
    )


def left_by(run: Run) -> dict[str, Any]:
    """All that a run has left, but for clocks and places: files by name, as they compare."""
    told = [*run.read_lines("metrics.jsonl")]
    return {
        "results": without_clocks(run.results),
        "metrics": without_clocks(told),
        "predictions": [*run.read_lines("predictions.jsonl")],
        "diagnosis": run.status.get("diagnosis", {}).get("verdict"),
        "weights": {
            str(file.relative_to(run.folder)): file.read_bytes()
            for part in (run.model, run.checkpoints)
            for file in sorted(part.rglob("*.safetensors"))
        },
    }


def losses(run: Run) -> list[float]:
    """Those of all steps that it has logged."""
    return [row["loss"] for row in run.read_lines("metrics.jsonl") if "loss" in row]


def without_clocks(value: Any) -> Any:
    """The same without anything that a clock says."""
    if isinstance(value, Mapping):
        return {key: without_clocks(one) for key, one in value.items() if key not in CLOCKS}
    if isinstance(value, (list, tuple)):
        return [without_clocks(one) for one in value]
    return value


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Where they differ, in words that a failed test shows."""
    found = differences(one, other)
    return [f"{key}: {str(was)[:60]} != {str(now)[:60]}" for key, (was, now) in found.items()]
