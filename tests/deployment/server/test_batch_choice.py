"""What is due first is answered first; when that cannot be in time, like lengths are together."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from welltuned.deployment.server.batch_choice import (
    BatchPart,
    QueuedRequest,
    are_late,
    due_first,
    sweep,
)
from welltuned.deployment.server.work_rate import WorkRate


@pytest.fixture(autouse=True)
def large_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many batches that there is something to sort."""
    monkeypatch.setattr("welltuned.deployment.server.batch_choice._SWEEP", 8)


def request(*works: int, due: float = 1.0, whole: bool = False) -> QueuedRequest:
    """Inputs of so much work each, which are these numbers themselves."""
    return QueuedRequest(works, works, whole, lambda predictor, rows: rows, 0.0, due)


def counted(inputs: Sequence[object]) -> list[int]:
    return [one for one in inputs if isinstance(one, int)]


def inputs_of(batch: Sequence[BatchPart]) -> list[object]:
    return [one for part in batch for one in part.inputs]


def test_a_batch_holds_what_is_due_first_and_no_more_than_its_budget() -> None:
    requests = [request(30, 40), request(20), request(20)]
    batch = due_first(requests, 100)
    assert [part.request for part in batch] == requests[:2]
    assert inputs_of(batch) == [30, 40, 20] and sum(part.work for part in batch) == 90
    assert [len(one.left) for one in requests] == [0, 0, 1]


def test_what_is_larger_than_any_batch_is_answered_all_the_same() -> None:
    assert inputs_of(due_first([request(500), request(1)], 100)) == [500]


def test_of_a_large_request_each_part_has_like_lengths_and_keeps_its_numbers() -> None:
    large = request(10, 60, 20, 50)
    (first,) = due_first([large], 110)
    assert list(first.numbers) == [1, 3] and large.work_left == 30
    (last,) = due_first([large], 110)
    assert list(last.numbers) == [0, 2] and large.work_left == 0


def test_what_is_read_whole_is_read_in_its_order_and_with_no_others() -> None:
    whole = request(10, 60, 20, whole=True)
    (part,) = due_first([whole, request(1)], 50)
    assert list(part.numbers) == [0, 1, 2] and part.work == 90


def test_a_sweep_takes_every_input_once_and_pads_little() -> None:
    draw = random.Random(0)
    requests = [request(*(draw.randint(5, 60) for _ in range(8))) for _ in range(12)]
    batches = sweep(requests, 300, counted)
    assert sorted(map(str, (one for batch in batches for one in inputs_of(batch)))) == sorted(
        str(work) for one in requests for work in one.works
    )
    assert all(sum(part.work for part in batch) <= 600 for batch in batches)
    padded = sum(max(counted(inputs_of(batch))) * len(inputs_of(batch)) for batch in batches)
    assert padded < 1.3 * sum(sum(one.works) for one in requests)
    assert all(one.left == [] and one.work_left == 0 for one in requests)


def test_lengths_are_those_that_were_counted() -> None:
    """A guess may take 30 and 31 for equal that are 9 and 90."""
    short, long = request(30, 30), request(31, 31)
    batches = sweep([short, long], 31, lambda inputs: [90 if one == 30 else 9 for one in inputs])
    assert [inputs_of(batch) for batch in batches] == [[30, 30], [31, 31]]


def test_a_sweep_leaves_what_is_due_much_later() -> None:
    """So that nobody waits for long because of the lengths of others."""
    requests = [request(*[50] * 4) for _ in range(10)]
    batches = sweep(requests, 50, counted)
    assert sum(map(len, map(inputs_of, batches))) == 16
    assert [len(one.left) for one in requests] == [0] * 4 + [4] * 6


def test_who_comes_behind_too_much_work_is_late() -> None:
    rate = WorkRate(seconds=1.0, least=10)
    requests = [request(50, due=1.0), request(60, due=1.0)]
    assert not are_late(requests, rate.seconds_for, now=0.0), "nothing has been learned"
    rate.learn(100, 1.0)
    assert are_late(requests, rate.seconds_for, now=0.0)
    assert not are_late(requests[:1], rate.seconds_for, now=0.4) and are_late(
        requests[:1], rate.seconds_for, now=0.6
    )
