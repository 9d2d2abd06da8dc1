"""How long a command takes to start: processes of ours alone, each until it has done one thing."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from speed.place import (
    MODEL,
    SPLITS,
    Command,
    Failed,
    Place,
    Taken,
    make_files,
    timed,
    welltuned,
)

ROUNDS = 5
_FEW = 100
"""Examples of the model that answers."""
_LOOKS = 0.005
"""Seconds between two looks for the first step."""

Times = dict[str, float]


@dataclass(frozen=True)
class Start:
    """A row of the table: a command, and when it has started."""

    english: str
    chinese: str
    aimed_at: float
    """Seconds of wall time."""
    measure: Callable[[Place], Times]


def measure_starts(place: Place, rounds: int = ROUNDS) -> dict[str, list[Times]]:
    """By row what each round took, in turns. The first, unkept, leaves what a user's cache has."""
    tune(replace(place, examples=_FEW))
    make_files(place)
    found: dict[str, list[Times]] = {name: [] for name in STARTS}
    for number in range(rounds + 1):
        for name, start in STARTS.items():
            taken = start.measure(place)
            if number:
                found[name].append(taken)
    return found


def medians(rounds: list[Times]) -> Times:
    return {what: statistics.median(one[what] for one in rounds) for what in rounds[0]}


def tune(place: Place) -> None:
    """A run whose model answers."""
    make_files(place)
    shutil.rmtree(_tuned(place), ignore_errors=True)
    timed(train(place, _tuned(place), "training.max_steps=2", "evaluation.untrained=false"), place)


def train(place: Place, run: Path, *more: str) -> Command:
    """Full fine-tuning of the classification rows' model on their files."""
    files = [f"data.{name}={place.folder / name}.jsonl" for name in SPLITS]
    return welltuned("train", f"model={MODEL}", *files, "strategy=full", f"output_dir={run}", *more)


def _tuned(place: Place) -> Path:
    return place.folder / "answering"  # other rows have models of their own


# --- Until a process ends, or has taken a step ------------------------------------


def _help(place: Place) -> Times:
    return _times(timed(welltuned("--help"), place))


def _wrong_config(place: Place) -> Times:
    return _until(train(place, place.run, "training.learning_rat=1e-5"), place, status=2)


def _answer(place: Place) -> Times:
    return _times(timed(welltuned("predict", str(_tuned(place)), "a quiet, lovely film"), place))


def _first_step(place: Place) -> Times:
    shutil.rmtree(place.run, ignore_errors=True)
    return _until(train(place, place.run), place, line_in=place.run / "metrics.jsonl")


def _first_step_ever(place: Place) -> Times:
    """With an empty cache: settings are tried before the step."""
    kept = place.cache.rename(place.folder / "kept cache")
    try:
        return _first_step(place)
    finally:
        shutil.rmtree(place.cache, ignore_errors=True)
        kept.rename(place.cache)


STARTS: Mapping[str, Start] = {
    "help": Start("`welltuned --help`", "`welltuned --help`", 0.15, _help),
    "config": Start("a misspelt key is told", "指出写错的键", 1.5, _wrong_config),
    "predict": Start("`predict` of one sentence", "`predict` 一句话", 3.0, _answer),
    "step": Start("first step of training", "训练的第一步", 5.0, _first_step),
    "step ever": Start(
        "the same with an empty cache: settings are tried first",
        "同上，但缓存为空：先试设置",
        5.0,
        _first_step_ever,
    ),
}


def _times(taken: Taken) -> Times:
    return {"seconds": taken.seconds, "cpu_seconds": taken.cpu_seconds}


def _until(
    command: Command, place: Place, status: int | None = None, line_in: Path | None = None
) -> Times:
    """What a process takes until it ends with this status, or there is a line in that file.

    Raises `Failed` where it ends otherwise.
    """
    environment = {**os.environ, "WELLTUNED_CACHE": str(place.cache)}
    with tempfile.TemporaryFile() as told:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=told, stderr=told)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0] and not _has_line(line_in):
            time.sleep(_LOOKS)
        seconds = time.perf_counter() - start
        if not ended[0]:
            process.kill()
            ended = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if not _has_line(line_in) and process.returncode != status:
            told.seek(0)
            raise Failed(f"{' '.join(command)}\n{told.read().decode(errors='replace')[-3000:]}")
    return {"seconds": seconds, "cpu_seconds": ended[2].ru_utime + ended[2].ru_stime}


def _has_line(file: Path | None) -> bool:
    return file is not None and file.exists() and file.stat().st_size > 0
