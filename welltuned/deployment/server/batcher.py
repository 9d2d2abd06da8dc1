"""Dynamic batching: requests wait in a queue, and one thread, which owns the model, answers many.

    submit   inputs of a request: answered with those of others, as many as a batch may hold
    alone    what needs the model for itself, such as an answer that is streamed

A batch begins when it is full, or when its oldest request has waited for `max_wait`; what comes
while the model is busy makes the next (`batch_choice`). A request that is too large for one batch
is due later by half the bound for each further one, so that small ones need not wait for all of it.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any, Generic, TypeVar

from welltuned.artifact.answers import Row
from welltuned.artifact.predictor import Predictor
from welltuned.deployment.server.batch_choice import (
    BatchPart,
    QueuedRequest,
    are_late,
    due_first,
    sweep,
)
from welltuned.deployment.server.limits import ServerLimits
from welltuned.deployment.server.refusal import Refusal, stopping_fault
from welltuned.deployment.server.work_rate import WorkRate, lengths_of, work_of
from welltuned.errors import Fault

T = TypeVar("T")

INPUTS = "inputs"
"""What ids are made of where inputs have none: `inputs:3`."""
_AT_ONCE = 16
"""Texts that are written together: as many as `evaluate` writes."""


@dataclass(eq=False)
class _Alone(Generic[T]):
    """Work that has the model for itself."""

    work: Callable[[Predictor], T]
    due: float
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
        self._queue: list[QueuedRequest | _Alone[Any]] = []
        """In the order in which they are due."""
        self._sweep: deque[list[BatchPart]] = deque()
        """Batches that come before the queue; the model's thread alone changes it."""
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = 0
        self._busy_until = 0.0
        """When the batch under way will have ended, by what has been learned."""
        self._source = f"welltuned-{secrets.token_hex(8)}"
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread that answers is there."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Inputs that wait."""
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
        now, further = time.monotonic(), sum(works) // self._rate.budget
        due = now + self._limits.latency * (1 + further / 2)
        request = QueuedRequest(inputs, works, whole, then, now, due)
        self._enqueue(request, len(inputs))
        return request.future

    def alone(self, work: Callable[[Predictor], T]) -> Future[T]:
        """What `work` makes of the model, when its turn has come. Raises as `submit`."""
        alone = _Alone(work, time.monotonic() + self._limits.latency)
        self._enqueue(alone, 1)
        return alone.future

    def close(self, patience: float | None = None) -> None:
        """Answer what waits, and end; after so many seconds it is no longer waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience)

    def _enqueue(self, asked: QueuedRequest | _Alone[Any], number: int) -> None:
        with self._changed:
            if self._closed:
                raise Refusal(503, stopping_fault(), retry_after=5)
            if self._waiting and self._waiting + number > self._limits.queue:
                raise Refusal(429, self._full(), retry_after=self._until_room())
            if self._limits.refuse_late and isinstance(asked, QueuedRequest):
                self._refuse_if_late(asked)
            self._waiting += number
            insort(self._queue, asked, key=attrgetter("due"))
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
        return max(1, math.ceil(self._seconds_ahead() / 2))

    def _refuse_if_late(self, request: QueuedRequest) -> None:
        """Raise `Refusal` where others have it answered too late; never where there are none."""
        ahead = self._seconds_ahead()
        seconds = ahead + self._rate.seconds_for(request.work_left)
        if ahead and request.since + seconds > request.due:
            wait = max(1, math.ceil(request.since + seconds - request.due))
            raise Refusal(429, _late_fault(seconds, request.due - request.since), retry_after=wait)

    def _seconds_ahead(self) -> float:
        """Until all that was let in is answered."""
        work = sum(one.work_left for one in self._queue if isinstance(one, QueuedRequest))
        work += sum(part.work for batch in list(self._sweep) for part in batch)
        return max(0.0, self._busy_until - time.monotonic()) + self._rate.seconds_for(work)

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
            swept = [part.request for batch in self._sweep for part in batch]
            left, self._waiting = [*self._queue, *swept], 0
            self._queue.clear()
            self._sweep.clear()
        for one in left:
            _fail(one.future, Refusal(503, stopping_fault(), retry_after=5))

    def _next(self) -> _Alone[Any] | list[BatchPart] | None:
        """What to do next; None when all is done and nothing more will come."""
        if self._sweep:
            return self._begun(self._sweep.popleft())
        with self._changed:
            while not self._drop_cancelled():
                if self._closed:
                    return None
                self._changed.wait()
            self._wait_for_more(self._queue[0])
            if not self._drop_cancelled():
                return []
            first = self._queue[0]
            if isinstance(first, _Alone):
                self._queue.pop(0)
                self._waiting -= 1
                return first
            together = [first] if first.whole else self._open_requests()
        return self._begun(self._chosen(together))

    def _drop_cancelled(self) -> bool:
        """Whether anybody still waits, once those who have gone are struck off."""
        for gone in [one for one in self._queue if one.future.cancelled()]:
            self._queue.remove(gone)
            self._waiting -= 1 if isinstance(gone, _Alone) else len(gone.left)
        return bool(self._queue)

    def _wait_for_more(self, first: QueuedRequest | _Alone[Any]) -> None:
        """Until there is enough for a batch, or the first has waited for long enough."""
        if isinstance(first, _Alone):
            return
        until = first.since + self._limits.max_wait
        while not (self._closed or first.whole or self._is_enough()):
            if (left := until - time.monotonic()) <= 0:
                return
            self._changed.wait(left)

    def _is_enough(self) -> bool:
        work, budget = 0, self._rate.budget
        for one in self._queue:
            work += budget if isinstance(one, _Alone) else one.work_left
            if work >= budget:
                return True
        return False

    def _open_requests(self) -> list[QueuedRequest]:
        """Those that share a batch, up to the first that does not."""
        requests: list[QueuedRequest] = []
        for one in self._queue:
            if isinstance(one, _Alone) or one.whole:
                break
            requests.append(one)
        return requests

    def _chosen(self, requests: Sequence[QueuedRequest]) -> list[BatchPart]:
        """The next batch of these, and, where more waits than can be answered in time, others."""
        budget = self._rate.budget
        if not requests[0].whole and are_late(requests, self._rate, time.monotonic()):
            lengths = partial(lengths_of, tokenizer=self._predictor.tokenizer)
            self._sweep.extend(sweep(requests, budget, lengths))
            batch = self._sweep.popleft()
        else:
            batch = due_first(requests, budget)
        with self._changed:
            self._queue = [one for one in self._queue if isinstance(one, _Alone) or one.left]
        return batch

    def _begun(self, parts: Sequence[BatchPart]) -> list[BatchPart]:
        """Without those who have gone, or have failed, since they were chosen."""
        with self._changed:
            self._waiting -= sum(len(part.numbers) for part in parts)
        return [part for part in parts if not part.request.future.done()]

    def _do(self, batch: _Alone[Any] | list[BatchPart]) -> None:
        if isinstance(batch, _Alone):
            if batch.future.set_running_or_notify_cancel():
                _settle(batch.future, lambda: batch.work(self._predictor))
            return
        if not batch:  # all of them have gone
            return
        start, work = time.monotonic(), sum(part.work for part in batch)
        self._busy_until = start + self._rate.seconds_for(work)
        self._answer(batch)
        seconds = time.monotonic() - start
        self._rate.learn(work, seconds)
        self._heard(sum(len(part.numbers) for part in batch), seconds)

    def _answer(self, parts: Sequence[BatchPart]) -> None:
        """Together; where that fails each by itself, so that one harms no other."""
        try:
            rows = iter(self._rows([one for part in parts for one in part.inputs]))
        except Exception as error:
            if len(parts) == 1:
                self._forget(parts[0].request)
                _fail(parts[0].request.future, error)
            for part in parts if len(parts) > 1 else ():
                self._answer([part])
            return
        for part in parts:
            for number, row in zip(part.numbers, rows, strict=False):
                part.request.rows[number] = self._renumbered(row, number)
            self._hand_over(part.request)

    def _rows(self, inputs: Sequence[object]) -> list[Row]:
        return [row for _, row in self._predictor.answer_all([inputs], self._source)]

    def _renumbered(self, row: Row, number: int) -> Row:
        """Numbered as in its own request, where it has no id of its own."""
        source, _, _ = str(row["id"]).rpartition(":")
        return row if source != self._source else {**row, "id": f"{INPUTS}:{number + 1}"}

    def _hand_over(self, request: QueuedRequest) -> None:
        """The rows of a request, once it has all of them."""
        rows = [request.rows[number] for number in sorted(request.rows)]
        if len(rows) == len(request.inputs) and request.future.set_running_or_notify_cancel():
            _settle(request.future, lambda: request.then(self._predictor, rows))

    def _forget(self, request: QueuedRequest) -> None:
        """What is left of a request that has failed is not answered."""
        with self._changed:
            if request in self._queue:
                self._queue.remove(request)
                self._waiting -= len(request.left)


def _late_fault(seconds: float, bound: float) -> Fault:
    return Fault(
        "serve.too_late",
        "an answer would take {seconds:.1f} seconds, and may take {bound:.1f}",
        None,
        "come again in as many seconds as the header Retry-After says, or start the server "
        "without --refuse-late",
        seconds=seconds,
        bound=bound,
    )


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Give a future that runs what comes of some work."""
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)


def _fail(future: Future[Any], error: Exception) -> None:
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)
