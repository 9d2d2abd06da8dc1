"""What a worker says of its end."""

from __future__ import annotations

import queue
import signal
from typing import Any

import pytest

from comparing import Thread
from welltuned.experiments.executors.base import Event


@pytest.mark.parametrize(
    ("status", "told", "words", "reason", "lost"),
    [
        (0, [], "a warning", None, False),
        (-signal.SIGKILL, [], "", "its process was ended by SIGKILL: most likely", True),
        (-signal.SIGSEGV, [], "", "its process was ended by SIGSEGV", True),
        (1, [], "a\n b \nc\nd\n", "b | c | d", False),
        (3, [], "", "its process ended with status 3", False),
        (1, [{"event": "failed", "error": "loss is nan"}], "words", "loss is nan", False),
        (2, [{"event": "refused", "faults": [{"what": "x"}, {"what": "y"}]}], "", "x; y", False),
    ],
)
def test_its_end(status: int, told: list[Any], words: str, reason: str | None, lost: bool) -> None:
    events: queue.Queue[Event] = queue.Queue()
    worker = Thread({}, events)
    for event in told:
        worker.hear(event)
    worker.end(status, words)
    *_, last = (events.get() for _ in range(len(told) + 1))
    assert last.name == "ended" and last.values["lost"] is lost
    assert (last.values["error"] or "").startswith(reason or "") and bool(reason) == bool(
        last.values["error"]
    )


def test_the_most_memory_counts_whoever_saw_it() -> None:
    worker = Thread({}, queue.Queue())
    worker.memory_bytes = 7
    worker.hear({"event": "finished", "memory_bytes": 5, "cpu_seconds": 2.5})
    assert (worker.memory_bytes, worker.cpu_seconds) == (7, 2.5)
