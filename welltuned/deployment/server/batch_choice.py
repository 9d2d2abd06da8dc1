"""Which of the inputs that wait are answered next, and which together.

Requests stand in the order in which they are due (earliest deadline first). While all of them can
be answered in time, a batch holds what is due first. When more waits than that, some are late
whatever is done, and what helps everybody is to pad little: then a *sweep* takes many of those that
are due first, puts inputs of like length into one batch, and is answered before whoever comes
later. So nobody waits for more than a sweep because of somebody else's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from welltuned.artifact.answers import Row
from welltuned.artifact.predictor import Predictor

_LARGER = 2
"""Times as much as any other batch one of a sweep holds: it is late already, and costs less so."""
_SWEEP = 2
"""Batches of a sweep. More would pad less, and have those that are due first wait for all."""
Lengths = Callable[[Sequence[object]], Sequence[int]]
"""The tokens of inputs, counted and not guessed."""
_Input = tuple["QueuedRequest", int]
"""A request, and the number of an input in it."""


@dataclass(eq=False)
class QueuedRequest:
    """A request's inputs: which of them wait, and the rows of those that are answered."""

    inputs: Sequence[object]
    works: Sequence[int]
    """Of each input, as `work_of` guesses it."""
    whole: bool
    """Whether they are read together and with no others. So are rows by column names, for what a
    column is follows from all its cells."""
    then: Callable[[Predictor, list[Row]], Any]
    since: float
    due: float
    """From when on it is late, on the clock of `since`."""
    future: Future[Any] = field(default_factory=Future)
    rows: dict[int, Row] = field(default_factory=dict)
    """By the number of the input, from 0."""
    left: list[int] = field(init=False)
    """Numbers of the inputs that wait: the longest first, so that those of a large request are
    answered with others of like length."""
    work_left: int = field(init=False)

    def __post_init__(self) -> None:
        numbers = range(len(self.inputs))
        by_length = sorted(numbers, key=self.works.__getitem__, reverse=True)
        self.left = list(numbers) if self.whole else by_length
        self.work_left = sum(self.works)

    def take(self, numbers: Iterable[int]) -> BatchPart:
        """Inputs that wait no longer."""
        taken = set(numbers)
        part = BatchPart(self, sorted(taken), sum(self.works[number] for number in taken))
        self.left = [number for number in self.left if number not in taken]
        self.work_left -= part.work
        return part


@dataclass(frozen=True)
class BatchPart:
    """Some inputs of a request, to be answered in one batch."""

    request: QueuedRequest
    numbers: Sequence[int]
    work: int

    @property
    def inputs(self) -> list[object]:
        return [self.request.inputs[number] for number in self.numbers]


def are_late(
    requests: Sequence[QueuedRequest], seconds_for: Callable[[int], float], now: float
) -> bool:
    """Whether any is late even if each is answered as soon as those before it have been."""
    works = accumulate(request.work_left for request in requests)
    ends = (now + seconds_for(work) for work in works)
    return any(end > request.due for end, request in zip(ends, requests, strict=True))


def due_first(requests: Sequence[QueuedRequest], budget: int) -> list[BatchPart]:
    """The next batch, in the order of requests; one input at least."""
    if requests[0].whole:
        return [requests[0].take(requests[0].left)]
    return _taken(_within(_waiting(requests), budget))


def sweep(
    requests: Sequence[QueuedRequest], budget: int, lengths: Lengths
) -> list[list[BatchPart]]:
    """The next batches: of what is due first, inputs of like length together, the longest first.

    `budget` is what a batch holds that is in time.
    """
    budget *= _LARGER
    found = _within(_waiting(requests), _SWEEP * budget)
    tokens = lengths([request.inputs[number] for request, number in found])
    places = sorted(range(len(found)), key=tokens.__getitem__, reverse=True)
    rest, batches = [found[place] for place in places], list[list[BatchPart]]()
    while rest:
        batch = _within(rest, budget)
        batches.append(_taken(batch))
        rest = rest[len(batch) :]
    return batches


def _waiting(requests: Iterable[QueuedRequest]) -> Iterator[_Input]:
    return ((request, number) for request in requests for number in request.left)


def _within(inputs: Iterable[_Input], budget: int) -> list[_Input]:
    """The first ones that come to no more work than this, and one at least."""
    chosen: list[_Input] = []
    for request, number in inputs:
        budget -= request.works[number]
        if chosen and budget < 0:
            break
        chosen.append((request, number))
    return chosen


def _taken(inputs: Iterable[_Input]) -> list[BatchPart]:
    """They wait no longer."""
    numbers: dict[QueuedRequest, list[int]] = {}
    for request, number in inputs:
        numbers.setdefault(request, []).append(number)
    return [request.take(some) for request, some in numbers.items()]
