"""Faults on purpose: how they are drawn, counted and judged.

A test of `tests/storm` counts each fault, and for each group has a negative control: something
that is lost on purpose, which what judges the others must notice.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forking import Forks
from resuming import differing, left_by
from suffering import live, named
from welltuned.runs import Run
from welltuned.runs.checkpoints import newest_checkpoint
from welltuned.runs.folder import START

SEED = int(os.environ.get("STORM_SEED", "1"))
"""What all faults are drawn from."""


class Storm:
    """The faults of one test: `with storm.fault(): …` around each and around its judge."""

    def __init__(self, group: str, name: str) -> None:
        self.group = group
        self.draw = random.Random(f"{SEED} {name}")
        self.tried = self.survived = self.controls = 0

    @contextmanager
    def fault(self, number: int = 1) -> Iterator[None]:
        """So many faults; they are survived if nothing is raised."""
        self.tried += number
        yield
        self.survived += number

    @contextmanager
    def control(self, loss: str) -> Iterator[None]:
        """A negative control: what judges must find this lost."""
        with pytest.raises(AssertionError, match=loss):
            yield
        self.controls += 1


def seeded(short: int, long: int) -> pytest.MarkDecorator:
    """Repeats a test: a few times in every suite, as often as is said in a whole storm."""
    rest = [pytest.param(number, marks=pytest.mark.storm) for number in range(short, long)]
    return pytest.mark.parametrize("number", [*range(short), *rest])


def reached(run: Run) -> int:
    """The last step that it took, as its metrics tell; 0 where there is none."""
    rows = (row for row in run.read_lines("metrics.jsonl") if "micro_batch_size" not in row)
    return max((row["step"] for row in rows if row["step"]), default=0)


def saved(run: Run) -> int:
    """The step that it would go on from; 0 for the beginning."""
    newest = newest_checkpoint(run.snapshots)
    return int(newest.name.removeprefix("step-")) if newest is not None else 0


# --- A run in as many processes as it takes ------------------------------------------------------

INTERVAL = 2
"""Steps between saves."""
KILLS = 3
"""Of each run, at most; then it is let alone."""
Whole = tuple[dict[str, Any], float]
"""What a run leaves that is never interrupted, and the seconds it takes."""


class Lives:
    """One run in as many processes as it takes."""

    def __init__(self, forks: Forks, values: dict[str, Any], stage: str = "", **more: Any) -> None:
        self._forks, self._values, self._more = forks, values, more
        self.folder = Path(values["output_dir"])
        self.run = Run(self.folder / stage)

    def one(self, seconds: float | None = None, ends: int = -9, **faults: Any) -> bool:
        """One life, killed after so long if at all. Returns whether it ended with that status."""
        if self.folder.exists() and not self._has_begun:
            shutil.rmtree(self.folder)  # it had not come to its first step
        worker = self._forks.begin(live, values=self._values, **named({**self._more, **faults}))
        if seconds is not None:
            time.sleep(seconds)
            worker.kill()
        status, error = self._forks.end_of(worker)
        assert status in (0, ends), error
        return status != 0

    @property
    def _has_begun(self) -> bool:
        return (self.folder / START).exists() or "pipeline" in self._values

    def outlive(self, storm: Storm, whole: Whole) -> None:
        """Kill it some times, let it end, and judge what is left."""
        lost: list[int] = []
        while len(lost) < KILLS and self.one(storm.draw.uniform(0, whole[1])):
            if self.run.is_finished:
                break  # killed with nothing left to do but to end
            lost.append(reached(self.run) - saved(self.run))
        with storm.fault(len(lost)):
            assert max(lost, default=0) <= INTERVAL, "too much work was lost"
            if not self.run.is_finished:
                self.one()
            self.judge(whole)

    def judge(self, whole: Whole) -> None:
        assert not differing(left_by(self.run), whole[0]), "something differs"
        assert not list(self.run.folder.rglob(".*")), "something is left over"


def lived(lives: Lives) -> Whole:
    """What one leaves that is never interrupted, and the seconds it takes."""
    start = time.monotonic()
    lives.one()
    return left_by(lives.run), time.monotonic() - start


Pipeline = tuple[Callable[[Path], Lives], Whole]
"""(makes one in a folder, what it leaves if it is never interrupted)."""
