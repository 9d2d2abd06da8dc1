"""Dynamic batching: requests wait in a queue, and a thread, which owns a model, answers many.

    submit   inputs of a request: answered with those of others, as many as a batch may hold
    alone    what needs a model for itself, such as an answer that is streamed

A batch begins when it is full, or when its oldest request has waited for `max_wait`; what comes
while the models are busy makes the next (`batch_choice`). A request that is too large for one batch
is due later by half the bound for each further one, so that small ones need not wait for all of it.

There are as many threads as the model has replicas that make it faster, for small batches leave
cores idle. They take from one queue, and all that they share is held by one lock.
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

import torch

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
from welltuned.deployment.server.refusal import Refusal, full_fault, late_fault, stopping_fault
from welltuned.deployment.server.work_rate import WorkRate, lengths_of, work_of

T = TypeVar("T")

INPUTS = "inputs"
"""What ids are made of where inputs have none: `inputs:3`."""
_SHARED = 256
"""Tokens from which on what waits is shared among the models. Fewer are not: half of so small a
batch takes much more than half of the time."""
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
        self._limits, self._heard = limits, heard
        self._writes = predictor.problem.responder is not None
        predictors = [predictor, *predictor.replicas]
        most = {"least": _AT_ONCE, "most": _AT_ONCE} if self._writes else {}
        self._rate = WorkRate(max(limits.latency / 2 - limits.max_wait, 0.0), **most)
        self._queue: list[QueuedRequest | _Alone[Any]] = []
        """In the order in which they are due."""
        self._sweep: deque[list[BatchPart]] = deque()
        """Batches that come before the queue."""
        self._changed = threading.Condition()
        self._closed = False
        self._waiting = 0
        self._busy_until = [0.0] * len(predictors)
        """When the batch of each thread will have ended, by what has been learned."""
        self._source = f"welltuned-{secrets.token_hex(8)}"
        self._share = max(1, torch.get_num_threads() // len(predictors))
        self._threads = [
            threading.Thread(target=self._work, args=numbered, name="model", daemon=True)
            for numbered in enumerate(predictors)
        ]
        for one in self._threads:
            one.start()

    @property
    def alive(self) -> bool:
        """Whether the threads that answer are there."""
        return all(one.is_alive() for one in self._threads)

    @property
    def models(self) -> int:
        """How many answer side by side."""
        return len(self._threads)

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
        until = None if patience is None else time.monotonic() + patience
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for one in self._threads:
            one.join(until and max(0.0, until - time.monotonic()))

    def _enqueue(self, asked: QueuedRequest | _Alone[Any], number: int) -> None:
        with self._changed:
            if self._closed:
                raise Refusal(503, stopping_fault(), retry_after=5)
            if self._waiting and self._waiting + number > self._limits.queue:
                fault = full_fault(self._waiting, self._limits.queue)
                raise Refusal(429, fault, retry_after=self._until_room())
            if self._limits.refuse_late and isinstance(asked, QueuedRequest):
                self._refuse_if_late(asked)
            self._waiting += number
            insort(self._queue, asked, key=attrgetter("due"))
            self._changed.notify_all()

    def _until_room(self) -> int:
        """Seconds until about half of what waits is answered."""
        return max(1, math.ceil(self._seconds_ahead() / 2))

    def _refuse_if_late(self, request: QueuedRequest) -> None:
        """Raise `Refusal` where others have it answered too late; never where there are none."""
        ahead = self._seconds_ahead()
        seconds = ahead + self._seconds_for(request.work_left)
        if ahead and request.since + seconds > request.due:
            wait = max(1, math.ceil(request.since + seconds - request.due))
            raise Refusal(429, late_fault(seconds, request.due - request.since), retry_after=wait)

    def _seconds_ahead(self) -> float:
        """Until all that was let in is answered."""
        work = sum(one.work_left for one in self._queue if isinstance(one, QueuedRequest))
        work += sum(part.work for batch in self._sweep for part in batch)
        return max(0.0, min(self._busy_until) - time.monotonic()) + self._seconds_for(work)

    def _seconds_for(self, work: int) -> float:
        """How long so much work takes where all threads do a part of it."""
        return self._rate.seconds_for(work) / len(self._threads)

    # --- In a model's thread ------------------------------------------------------

    def _work(self, number: int, predictor: Predictor) -> None:
        if len(self._threads) > 1:
            torch.set_num_threads(self._share)
        try:
            while (batch := self._next(predictor)) is not None:
                self._do(batch, number, predictor)
        finally:  # where even the code here fails, nobody waits for ever
            self._give_up()

    def _give_up(self) -> None:
        with self._changed:
            self._closed = True
            swept = [part.request for batch in self._sweep for part in batch]
            left, self._waiting = [*self._queue, *swept], 0
            self._queue.clear()
            self._sweep.clear()
            self._changed.notify_all()
            for one in left:
                _fail(one.future, Refusal(503, stopping_fault(), retry_after=5))

    def _next(self, predictor: Predictor) -> _Alone[Any] | list[BatchPart] | None:
        """What to do next; None when all is done and nothing more will come."""
        with self._changed:
            while not self._sweep:
                if not self._drop_cancelled():
                    if self._closed:
                        return None
                    self._changed.wait()
                elif self._has_waited(self._queue[0]):
                    return self._first(predictor)
            return self._begun(self._sweep.popleft())

    def _first(self, predictor: Predictor) -> _Alone[Any] | list[BatchPart]:
        """What is due first, and what goes with it."""
        first = self._queue[0]
        if isinstance(first, _Alone):
            self._queue.pop(0)
            self._waiting -= 1
            return first
        return self._begun(
            self._chosen([first] if first.whole else self._open_requests(), predictor)
        )

    def _drop_cancelled(self) -> bool:
        """Whether anybody still waits, once those who have gone are struck off."""
        for gone in [one for one in self._queue if one.future.cancelled()]:
            self._queue.remove(gone)
            self._waiting -= 1 if isinstance(gone, _Alone) else len(gone.left)
        return bool(self._queue)

    def _has_waited(self, first: QueuedRequest | _Alone[Any]) -> bool:
        """Whether a batch begins; else False once something has changed, or the time is over."""
        if self._closed or isinstance(first, _Alone) or first.whole or self._is_enough():
            return True
        if (left := first.since + self._limits.max_wait - time.monotonic()) > 0:
            self._changed.wait(left)
            return False
        return True

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

    def _chosen(self, requests: Sequence[QueuedRequest], predictor: Predictor) -> list[BatchPart]:
        """The next batch of these, and, where more waits than can be answered in time, others."""
        budget = self._rate.budget
        if not requests[0].whole and are_late(requests, self._seconds_for, time.monotonic()):
            lengths = partial(lengths_of, tokenizer=predictor.tokenizer)
            self._sweep.extend(sweep(requests, budget, lengths))
            batch = self._sweep.popleft()
            self._changed.notify_all()
        else:
            waiting = sum(request.work_left for request in requests)
            share = max(_SHARED, math.ceil(waiting / len(self._threads)))
            batch = due_first(requests, min(budget, share))
        self._queue = [one for one in self._queue if isinstance(one, _Alone) or one.left]
        return batch

    def _begun(self, parts: Sequence[BatchPart]) -> list[BatchPart]:
        """Without those who have gone, or have failed, since they were chosen."""
        self._waiting -= sum(len(part.numbers) for part in parts)
        return [part for part in parts if not part.request.future.done()]

    def _do(self, batch: _Alone[Any] | list[BatchPart], number: int, predictor: Predictor) -> None:
        if isinstance(batch, _Alone):
            if batch.future.set_running_or_notify_cancel():
                _settle(batch.future, lambda: batch.work(predictor))
            return
        if not batch:  # all of them have gone
            return
        start, work = time.monotonic(), sum(part.work for part in batch)
        self._busy_until[number] = start + self._rate.seconds_for(work)
        self._answer(batch, predictor)
        seconds = time.monotonic() - start
        with self._changed:
            self._rate.learn(work, seconds)
        self._heard(sum(len(part.numbers) for part in batch), seconds)

    def _answer(self, parts: Sequence[BatchPart], predictor: Predictor) -> None:
        """Together; where that fails each by itself, so that one harms no other."""
        inputs = [one for part in parts for one in part.inputs]
        try:
            rows = iter([row for _, row in predictor.answer_all([inputs], self._source)])
        except Exception as error:
            if len(parts) == 1:
                self._forget(parts[0].request, error)
            for part in parts if len(parts) > 1 else ():
                self._answer([part], predictor)
            return
        for part in parts:
            mine = {number: self._renumbered(next(rows), number) for number in part.numbers}
            self._hand_over(part.request, mine, predictor)

    def _renumbered(self, row: Row, number: int) -> Row:
        """Numbered as in its own request, where it has no id of its own."""
        source, _, _ = str(row["id"]).rpartition(":")
        return row if source != self._source else {**row, "id": f"{INPUTS}:{number + 1}"}

    def _hand_over(
        self, request: QueuedRequest, rows: Mapping[int, Row], predictor: Predictor
    ) -> None:
        """Rows of a request; all of them, once it has them."""
        with self._changed:  # two threads may each have a part of it
            request.rows.update(rows)
            is_whole = len(request.rows) == len(request.inputs)
        if is_whole and request.future.set_running_or_notify_cancel():
            whole = [request.rows[number] for number in sorted(request.rows)]
            _settle(request.future, lambda: request.then(predictor, whole))

    def _forget(self, request: QueuedRequest, error: Exception) -> None:
        """It has failed, and what is left of it is not answered."""
        with self._changed:
            _fail(request.future, error)
            if request in self._queue:
                self._queue.remove(request)
                self._waiting -= len(request.left)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    """Give a future that runs what comes of some work."""
    try:
        future.set_result(work())
    except Exception as error:
        future.set_exception(error)


def _fail(future: Future[Any], error: Exception) -> None:
    if not future.done() and future.set_running_or_notify_cancel():
        future.set_exception(error)
