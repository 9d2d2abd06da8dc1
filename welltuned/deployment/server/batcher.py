"""Dynamic batching: requests wait in a queue, and one thread, which owns the model, answers many.

    submit   inputs of a request: answered with those of others, as many as a batch may hold
    alone    what needs the model for itself, such as an answer that is streamed

A batch begins when it is full, or when its oldest request has waited for `max_wait`; what comes
while the model is busy makes the next. Of a request too large for one batch a part is taken, and
the rest goes to the end of the queue, so that small ones need not wait for all of it.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Generic, TypeVar

from welltuned.artifact.answers import Row
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.refusal import Refusal, stopping_fault
from welltuned.deployment.server.work_rate import WorkRate, work_of
from welltuned.errors import Fault

T = TypeVar("T")

INPUTS = "inputs"
"""What ids are made of where inputs have none: `inputs:3`."""
_AT_ONCE = 16
"""Texts that are written together: as many as `evaluate` writes."""


@dataclass(eq=False)
class _Asked:
    """A request's inputs, and how many of them have been answered."""

    inputs: Sequence[object]
    works: list[int]
    whole: bool
    """Whether they are read together and with no others. So are rows by column names, for what a
    column is follows from all its cells."""
    then: Callable[[Predictor, list[Row]], Any]
    since: float
    future: Future[Any] = field(default_factory=Future)
    rows: list[Row] = field(default_factory=list)
    taken: int = 0

    @property
    def left(self) -> int:
        return len(self.inputs) - self.taken

    @property
    def work_left(self) -> int:
        return sum(self.works[self.taken :])

    def take(self, room: int) -> _Part:
        """Its next inputs, as many as there is room for, and one at least."""
        works = self.works[self.taken :]
        number = len(works) if self.whole else sum(s <= room for s in accumulate(works)) or 1
        part = _Part(self, self.taken, number, sum(works[:number]))
        self.taken += number
        return part


@dataclass(frozen=True)
class _Part:
    """Some inputs of a request, to be answered in one batch."""

    asked: _Asked
    start: int
    number: int
    work: int

    @property
    def inputs(self) -> Sequence[object]:
        return self.asked.inputs[self.start : self.start + self.number]


@dataclass(eq=False)
class _Alone(Generic[T]):
    """Work that has the model for itself."""

    work: Callable[[Predictor], T]
    since: float
    future: Future[T] = field(default_factory=Future)


class Batcher:
    """The queue before a model, and the thread behind it."""

    def __init__(
        self,
        predictor: Predictor,
        limits: ServerLimits,
        heard: Callable[[int, float], object] = lambda inputs, seconds: None,
    ) -> None:
        """`heard` is told of each batch its inputs and how many seconds it took."""
        self._predictor, self._limits, self._heard = predictor, limits, heard
        self._writes = predictor.problem.responder is not None
        most = {"least": _AT_ONCE, "most": _AT_ONCE} if self._writes else {}
        self._rate = WorkRate(max(limits.latency / 2 - limits.max_wait, 0.0), **most)
        self._queue: deque[_Asked | _Alone[Any]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = 0
        self._source = f"welltuned-{secrets.token_hex(8)}"
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread that answers is there."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Inputs in the queue."""
        return self._waiting

    def submit(self, inputs: Sequence[object]) -> Future[list[Row]]:
        """One row an input, in order; `cancel` drops what is left.

        Raises `Refusal` where too many inputs wait.
        """
        return self.submit_then(inputs, lambda predictor, rows: rows)

    def submit_then(
        self, inputs: Sequence[object], then: Callable[[Predictor, list[Row]], T]
    ) -> Future[T]:
        """As `submit`, with what `then` makes of the rows while the model is at hand."""
        works = [1 if self._writes else work_of(one) for one in inputs]
        whole = any(isinstance(one, Mapping) for one in inputs)
        asked = _Asked(inputs, works, whole, then, time.monotonic())
        self._enqueue(asked, len(inputs))
        return asked.future

    def alone(self, work: Callable[[Predictor], T]) -> Future[T]:
        """What `work` makes of the model, when its turn has come. Raises as `submit`."""
        alone = _Alone(work, time.monotonic())
        self._enqueue(alone, 1)
        return alone.future

    def close(self, patience: float | None = None) -> None:
        """Answer what waits, and end; after so many seconds it is no longer waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience)

    def _enqueue(self, asked: _Asked | _Alone[Any], number: int) -> None:
        with self._changed:
            if self._closed:
                raise Refusal(503, stopping_fault(), retry_after=5)
            if self._waiting and self._waiting + number > self._limits.queue:
                raise Refusal(429, self._full(), retry_after=self._until_room())
            self._waiting += number
            self._queue.append(asked)
            self._changed.notify()

    def _full(self) -> Fault:
        return Fault(
            "serve.queue_full",
            "{waiting:,} inputs wait already, and {most:,} may",
            None,
            "come again in as many seconds as the header Retry-After says",
            waiting=self._waiting,
            most=self._limits.queue,
        )

    def _until_room(self) -> int:
        """Seconds until about half of what waits is answered."""
        work = sum(one.work_left for one in self._queue if isinstance(one, _Asked))
        return max(1, math.ceil(self._rate.seconds_for(work) / 2))

    # --- In the model's thread ----------------------------------------------------

    def _work(self) -> None:
        try:
            while (batch := self._next()) is not None:
                self._do(batch)
        finally:  # where even the code here fails, nobody waits for ever
            self._give_up()

    def _give_up(self) -> None:
        with self._changed:
            self._closed = True
            left, self._waiting = list(self._queue), 0
            self._queue.clear()
        for one in left:
            _fail(one.future, Refusal(503, stopping_fault(), retry_after=5))

    def _next(self) -> _Alone[Any] | list[_Part] | None:
        """What to do next; None when all is done and nothing more will come."""
        with self._changed:
            while not self._drop_cancelled():
                if self._closed:
                    return None
                self._changed.wait()
            first = self._queue[0]
            if isinstance(first, _Alone):
                self._waiting -= 1
                self._queue.popleft()
                return first
            self._wait_for_more(first)
            return self._take()

    def _drop_cancelled(self) -> bool:
        """Whether anybody still waits, once those who have gone are struck off the head."""
        while self._queue and self._queue[0].future.cancelled():
            gone = self._queue.popleft()
            self._waiting -= gone.left if isinstance(gone, _Asked) else 1
        return bool(self._queue)

    def _wait_for_more(self, first: _Asked) -> None:
        """Until there is enough for a batch, or the first has waited for long enough."""
        until = first.since + self._limits.max_wait
        while not (self._closed or first.whole or self._is_enough()):
            if (left := until - time.monotonic()) <= 0:
                return
            self._changed.wait(left)

    def _is_enough(self) -> bool:
        work, budget = 0, self._rate.budget
        for one in self._queue:
            work += one.work_left if isinstance(one, _Asked) else budget
            if work >= budget:
                return True
        return False

    def _take(self) -> list[_Part]:
        """From the head of the queue, until the batch is full; each request gives once."""
        parts: list[_Part] = []
        room, rest = self._rate.budget, deque[_Asked]()
        while self._drop_cancelled():
            asked = self._queue[0]
            alone = isinstance(asked, _Alone) or asked.whole or asked.works[asked.taken] > room
            if isinstance(asked, _Alone) or (parts and alone):
                break
            self._queue.popleft()
            part = asked.take(room)
            parts.append(part)
            room -= part.work
            if asked.left:
                rest.append(asked)
            if asked.whole or room <= 0:
                break
        self._queue.extend(rest)
        self._waiting -= sum(part.number for part in parts)
        return parts

    def _do(self, batch: _Alone[Any] | list[_Part]) -> None:
        if isinstance(batch, _Alone):
            if batch.future.set_running_or_notify_cancel():
                _settle(batch.future, lambda: batch.work(self._predictor))
            return
        if not batch:  # all of them have gone
            return
        start = time.monotonic()
        self._answer(batch)
        seconds = time.monotonic() - start
        self._rate.learn(sum(part.work for part in batch), seconds)
        self._heard(sum(part.number for part in batch), seconds)

    def _answer(self, parts: Sequence[_Part]) -> None:
        """Together; where that fails each by itself, so that one harms no other."""
        try:
            rows = self._rows([one for part in parts for one in part.inputs])
        except Exception as error:
            if len(parts) == 1:
                self._forget(parts[0].asked)
                _fail(parts[0].asked.future, error)
            for part in parts if len(parts) > 1 else ():
                self._answer([part])
            return
        start = 0
        for part in parts:
            mine = rows[start : start + part.number]
            shift = part.start - start
            self._hand_over(part.asked, [self._renumbered(row, shift) for row in mine])
            start += part.number

    def _rows(self, inputs: Sequence[object]) -> list[Row]:
        return [row for _, row in self._predictor.answer_all([inputs], self._source)]

    def _renumbered(self, row: Row, shift: int) -> Row:
        """Numbered as in its own request, where it has no id of its own."""
        source, _, line = str(row["id"]).rpartition(":")
        return row if source != self._source else {**row, "id": f"{INPUTS}:{int(line) + shift}"}

    def _hand_over(self, asked: _Asked, rows: list[Row]) -> None:
        asked.rows += rows
        if len(asked.rows) == len(asked.inputs) and asked.future.set_running_or_notify_cancel():
            _settle(asked.future, lambda: asked.then(self._predictor, asked.rows))

    def _forget(self, asked: _Asked) -> None:
        """What is left of a request that has failed is not answered."""
        with self._changed:
            if asked in self._queue:
                self._queue.remove(asked)
                self._waiting -= asked.left


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Give a future that runs what comes of some work."""
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)


def _fail(future: Future[Any], error: Exception) -> None:
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
