"""How many cells run side by side, and with how many threads."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from comparing import Thread
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.parallel import (
    Room,
    settle_threads,
    threads_for,
    workers_for,
)
from welltuned.runs import process_memory
from welltuned.runs.comparison_schema import SharedSettings


@pytest.mark.parametrize(
    ("asked", "cells", "device", "workers", "threads"),
    [
        ({}, 10, "cpu", 8, 1),
        ({}, 3, "cpu", 3, 2),
        ({}, 0, "cpu", 1, 8),
        ({}, 10, "cuda", 1, 8),
        ({"budget": "20m"}, 10, "cpu", 1, 8),
        ({"workers": 3}, 10, "cpu", 3, 2),
        ({"workers": 16}, 20, "cpu", 16, 1),
        ({"workers": 2}, 10, "cuda", 2, 4),
        ({"threads": 1, "workers": 1}, 10, "cpu", 1, 1),
    ],
)
def test_they_share_the_machine(
    asked: dict[str, Any], cells: int, device: str, workers: int, threads: int
) -> None:
    config = comparison_from({"model": "bert", "data": "demo:sentiment_en", **asked})
    assert workers_for(config, cells, device, 8) == workers
    assert threads_for(config, workers, 8) == threads
    settled: SharedSettings = {"device": device}
    assert settle_threads(config, cells, settled, 8) == workers and settled["threads"] == threads


def test_who_goes_on_keeps_the_threads() -> None:
    values: dict[str, Any] = {"model": "bert", "data": "demo:sentiment_en"}
    settled: SharedSettings = {"threads": 5}
    assert settle_threads(comparison_from(values), 4, settled, 8) == 4 and settled["threads"] == 5
    settle_threads(comparison_from({**values, "threads": 2}), 4, settled, 8)
    assert settled["threads"] == 2


def test_room_counts_what_those_under_way_will_still_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "available", lambda: 250)
    room, worker = Room({"memory_bytes": 100}), Thread({}, queue.Queue())
    assert room.has_one_more([worker])
    assert not room.has_one_more([worker, worker])
    worker.memory_bytes = 100
    assert room.has_one_more([worker, worker])
    room.learn(60)
    assert room.has_one_more([worker] * 9), "what is measured replaces what was guessed"
    room.learn(300)
    assert not room.has_one_more([])


def test_where_the_system_does_not_tell_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "available", lambda: None)
    assert Room({"memory_bytes": 10**15}).has_one_more([])
