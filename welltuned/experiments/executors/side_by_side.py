"""Side by side: jobs under way at once, each carried out by a worker of its own."""

from __future__ import annotations

import queue
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from welltuned.experiments.executors.base import Event, Pool, Worker
from welltuned.runs import process_memory

_TICK = 0.5
"""Seconds between looks at how much memory the workers hold."""

JobT = TypeVar("JobT")


def threads_for(asked: int | None, workers: int, cores: int) -> int:
    """Threads of each worker, so that together they have the whole machine."""
    return asked or max(1, cores // workers)


class Room:
    """Memory for one worker more, as far as can be told from those that have ended.

    Before the first has ended, `guess` is what one is taken to need.
    """

    def __init__(self, guess: int) -> None:
        self._needed = guess
        self._is_measured = False

    def learn(self, memory_bytes: int) -> None:
        """A worker has ended, and held so much."""
        most = max(self._needed, memory_bytes) if self._is_measured else memory_bytes
        self._needed, self._is_measured = most, True

    def has_one_more(self, running: Iterable[Worker]) -> bool:
        """Whether another worker fits beside these, which may still grow."""
        left = process_memory.available()
        if left is None:
            return True
        to_come = sum(max(0, self._needed - worker.memory_bytes) for worker in running)
        return left - to_come >= self._needed


def room_in(pool: Pool, workers: int | str, guess: int) -> Room | None:
    """Memory to be looked at before a worker begins, if each is taken to need so much at first.

    None where a number of `workers` is to be taken at its word, or memory is elsewhere.
    """
    return Room(guess) if workers == "auto" and pool.shares_memory else None


@dataclass(frozen=True)
class _Begun(Generic[JobT]):
    """A job, and how often it has been begun."""

    job: JobT
    times: int = 1


class SideBySide(ABC, Generic[JobT]):
    """Carries jobs out, several at a time; one whose worker is lost is begun again."""

    attempts = 2
    """How often a job is begun whose process dies: it may be the job that kills it."""

    def __init__(self, pool: Pool, workers: int, threads: int | None, room: Room | None) -> None:
        """`workers` at a time with `threads` each, as far as `room` has memory; None: whatever."""
        self.workers, self.threads = workers, threads
        self._pool, self._room = pool, room
        self._running: dict[Worker, _Begun[JobT]] = {}
        self._lost: list[_Begun[JobT]] = []
        self._events: queue.Queue[Event] = queue.Queue()

    @property
    def is_busy(self) -> bool:
        """Whether a job is under way, or is going to be begun again."""
        return bool(self._running or self._lost)

    @abstractmethod
    def next_job(self) -> JobT | None:
        """What to begin next; None while there is nothing, which is asked again."""

    @abstractmethod
    def request_of(self, job: JobT) -> Mapping[str, object]:
        """What its worker is asked; whatever an earlier attempt has left is to be cleared."""

    @abstractmethod
    def heard(self, job: JobT, event: Event) -> None:
        """Its worker has told something."""

    @abstractmethod
    def ended(self, job: JobT, event: Event) -> None:
        """Its worker has ended, for the last time."""

    @abstractmethod
    def lost(self, job: JobT, reason: str) -> None:
        """Its worker is lost; the job is going to be begun again."""

    @abstractmethod
    def stopped(self, job: JobT) -> None:
        """It was under way when everything was stopped, and is not any more."""

    def run(self) -> None:
        """Carry out whatever comes. When this is interrupted, what is under way is stopped."""
        try:
            while self._begin_what_fits():
                self._hear()
        except BaseException:
            self._stop()
            raise

    def _begin_what_fits(self) -> bool:
        """Begin as many as there is room for; returns whether anything is under way."""
        while self._has_room() and (begun := self._next()) is not None:
            request = self.request_of(begun.job)
            worker = self._pool.start(request, self._events, self.threads)
            self._running[worker] = begun
        return bool(self._running)

    def _has_room(self) -> bool:
        if not self._running:
            return True
        if len(self._running) >= self.workers:
            return False
        return self._room is None or self._room.has_one_more(self._running)

    def _next(self) -> _Begun[JobT] | None:
        """What is new goes first: what was lost for lack of memory has more room at the end."""
        if (job := self.next_job()) is not None:
            return _Begun(job)
        if self._lost:
            lost = self._lost.pop(0)
            return _Begun(lost.job, lost.times + 1)
        return None

    def _hear(self) -> None:
        """The next event, if there is one soon."""
        for worker in self._running:
            worker.sample()
        try:
            event = self._events.get(timeout=_TICK)
        except queue.Empty:
            return
        if event.name != "ended":
            self.heard(self._running[event.worker].job, event)
            return
        begun = self._running.pop(event.worker)
        if event.values["error"] is None and self._room is not None:
            self._room.learn(event.worker.memory_bytes)
        if event.values["lost"] and begun.times < self.attempts:
            self._lost.append(begun)
            self.lost(begun.job, event.values["error"])
        else:
            self.ended(begun.job, event)

    def _stop(self) -> None:
        for worker in self._running:
            worker.ask_to_stop()
        for worker, begun in self._running.items():
            worker.stop()
            self.stopped(begun.job)
        for begun in self._lost:
            self.stopped(begun.job)
