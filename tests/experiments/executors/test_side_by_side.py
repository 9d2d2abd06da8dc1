"""Jobs side by side: how many have room, and what becomes of one whose worker is lost."""

from __future__ import annotations

import queue
from collections.abc import Mapping

import pytest

from comparing import Thread
from welltuned.experiments.executors.base import Event, Pool, Worker
from welltuned.experiments.executors.side_by_side import Room, SideBySide, threads_for
from welltuned.runs import process_memory


@pytest.mark.parametrize(
    ("asked", "workers", "threads"), [(None, 8, 1), (None, 3, 2), (None, 16, 1), (5, 2, 5)]
)
def test_threads_are_the_machine_shared_out(asked: int | None, workers: int, threads: int) -> None:
    assert threads_for(asked, workers, 8) == threads


def test_room_counts_what_those_under_way_will_still_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "available", lambda: 250)
    room, worker = Room(100), Thread({}, queue.Queue())
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
    assert Room(10**15).has_one_more([])


# --- Jobs ---------------------------------------------------------------------------------------


class Told(Worker):
    """A worker that is over at once, with the status that its request names."""

    def start(self) -> Worker:
        self.end(int(str(self.request["status"])))
        return self

    def ask_to_stop(self) -> None: ...
    def stop(self) -> None: ...
    def sample(self) -> None: ...


class ToldPool(Pool):
    cores = 2

    def start(
        self, request: Mapping[str, object], events: queue.Queue[Event], threads: int | None = None
    ) -> Worker:
        return Told(request, events, threads).start()

    def close(self) -> None: ...


class Jobs(SideBySide[str]):
    """Jobs by name, each with the statuses that its attempts end with."""

    def __init__(self, statuses: dict[str, list[int]], workers: int = 2) -> None:
        super().__init__(ToldPool(), workers, 1, None)
        self.statuses, self.waiting = statuses, list(statuses)
        self.log: list[str] = []
        self.most = 0

    def next_job(self) -> str | None:
        return self.waiting.pop(0) if self.waiting else None

    def request_of(self, job: str) -> Mapping[str, object]:
        self.log.append(f"begun {job}")
        self.most = max(self.most, len(self._running) + 1)
        return {"status": self.statuses[job].pop(0)}

    def heard(self, job: str, event: Event) -> None: ...

    def ended(self, job: str, event: Event) -> None:
        self.log.append(f"ended {job}: {event.values['error'] is None}")

    def lost(self, job: str, reason: str) -> None:
        self.log.append(f"lost {job}")

    def stopped(self, job: str) -> None:
        self.log.append(f"stopped {job}")


def test_what_is_lost_is_begun_again_after_the_others() -> None:
    jobs = Jobs({"a": [-9, 0], "b": [0], "c": [1]}, workers=1)
    jobs.run()
    assert jobs.log == [
        *("begun a", "lost a", "begun b", "ended b: True"),
        *("begun c", "ended c: False", "begun a", "ended a: True"),
    ]


def test_what_is_lost_again_has_ended() -> None:
    jobs = Jobs({"a": [-9, -9, 0]})
    jobs.run()
    assert jobs.log == ["begun a", "lost a", "begun a", "ended a: False"]


def test_no_more_are_under_way_than_there_are_workers() -> None:
    jobs = Jobs({name: [0] for name in "abcde"}, workers=3)
    jobs.run()
    assert jobs.most == 3 and len(jobs.log) == 10


def test_when_one_is_interrupted_all_are_stopped() -> None:
    class Interrupted(Jobs):
        def ended(self, job: str, event: Event) -> None:
            raise KeyboardInterrupt

    jobs = Interrupted({"a": [0], "b": [0]})
    with pytest.raises(KeyboardInterrupt):
        jobs.run()
    assert jobs.log == ["begun a", "begun b", "stopped b"]
