"""Tracking: the trackers of one run, of which none can do it harm.

One that fails is told of once, written down, and dropped; training goes on. A run that was
interrupted goes on in the same run of each tracker: `RUN/trackers.json` says what that is called.
Lines of metrics.jsonl that come again as they were are not told again.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

from welltuned.engines.config import TrackerName
from welltuned.errors import InputError, Pruned, Stopped
from welltuned.runs import Run
from welltuned.schema.secrets import masked_text
from welltuned.training.trackers import TRACKERS, End, TrackedRun, Tracker
from welltuned.training.trackers.numbers import (
    final_numbers,
    lasting,
    named,
    numbers_of,
    step_of,
)

_NAMES = "trackers.json"
_METRICS = "metrics.jsonl"
_SHOWN = 200


class Tracking:
    """Tells the trackers of a run what it writes down."""

    def __init__(
        self, run: Run, names: Sequence[TrackerName], tell: Callable[[str], object]
    ) -> None:
        """`tell` hears of trackers that fail."""
        self._run, self._tell = run, tell
        self._trackers: dict[TrackerName, _Told] = {name: _Told(TRACKERS[name]()) for name in names}
        self._record: dict[str, Any] = {}
        self._step = 0

    def begin(self, goes_on_after: int = 0) -> None:
        """Called where all is decided; the run goes on after this step, where it does."""
        if not self._trackers:
            return
        self._record = _read_record(self._run)
        rows = list(self._run.read_lines(_METRICS))
        name, group = named(self._run.folder)
        run = TrackedRun(name, group, self._run.folder, self._run.config)

        def begin_one(key: TrackerName, told: _Told) -> None:
            known_as = self._record.get(key, {}).get("run")
            begun = told.begin(run, known_as, rows, goes_on_after)
            self._record[key] = {"run": begun, "failed": None}

        self._each(begin_one)
        self._write_record()

    def told(self, row: Mapping[str, object]) -> None:
        """A line of metrics.jsonl, as it is written."""
        self._step = max(self._step, step_of(row))
        self._each(lambda _, told: told.log(row))

    def conclude(self, results: Mapping[str, object]) -> None:
        """What the run came to."""
        numbers = final_numbers(results)
        self._each(lambda _, told: told.tracker.conclude(self._step, numbers))

    def end(self, how: End) -> None:
        """Nothing more is told."""
        self._each(lambda _, told: told.end(how))
        self._trackers = {}

    def _each(self, ask: Callable[[TrackerName, _Told], object]) -> None:
        for name, told in tuple(self._trackers.items()):
            try:
                with _apart_from_the_terminal():
                    ask(name, told)
            except Stopped:
                raise
            except (Exception, SystemExit) as error:  # whatever it is, it is not the run's
                self._drop(name, error)

    def _drop(self, name: TrackerName, error: BaseException) -> None:
        del self._trackers[name]
        reason = " ".join(f"{type(error).__name__}: {masked_text(str(error))}".split())[:_SHOWN]
        self._record[name] = {**self._record.get(name, {"run": None}), "failed": reason}
        self._write_record()
        self._tell(f"{name} is told nothing more, and the run goes on without it: {reason}")

    def _write_record(self) -> None:
        self._run.write(_NAMES, self._record)


class _Told:
    """A tracker, and the lines that it knows from before."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._has_begun = False
        self._known: set[object] = set()

    def begin(
        self,
        run: TrackedRun,
        known_as: str | None,
        rows: Sequence[Mapping[str, object]],
        after: int,
    ) -> str:
        """Begin, or go on; one that was not there from the start is told what it has missed."""
        name = self.tracker.begin(replace(run, known_as=known_as))
        self._has_begun = True
        if known_as is not None:
            self._known = {lasting(row) for row in rows}
            return name
        for row in rows:
            if step_of(row) <= after:
                self.log(row)
                self._known.add(lasting(row))
        return name

    def log(self, row: Mapping[str, object]) -> None:
        numbers = numbers_of(row)
        if numbers and lasting(row) not in self._known:
            self.tracker.log(step_of(row), numbers)

    def end(self, how: End) -> None:
        if self._has_begun:
            self.tracker.end(how)


@contextmanager
def tracking(
    run: Run, names: Sequence[TrackerName], tell: Callable[[str], object]
) -> Iterator[Tracking]:
    """The trackers of a run, told how it ended when the block is left."""
    trackers = Tracking(run, names, tell)
    try:
        yield trackers
    except (Stopped, Pruned, KeyboardInterrupt):
        trackers.end("stopped")
        raise
    except BaseException:
        trackers.end("failed")
        raise
    trackers.end("finished")


@contextmanager
def _apart_from_the_terminal() -> Iterator[None]:
    """Nobody is asked on standard input, and standard output carries results alone."""
    before, sys.stdin = sys.stdin, io.StringIO()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdin = before


def _read_record(run: Run) -> dict[str, Any]:
    """What each tracker calls the run; empty where none does, or nobody can read it."""
    try:
        return run.read(_NAMES)
    except (FileNotFoundError, InputError):
        return {}
