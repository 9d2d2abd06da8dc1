"""A process that dies ends those that train with it, soon, and none is left over."""

from __future__ import annotations

import queue
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forking import Forks
from storming import Storm, saved, seeded
from suffering import be_signalled, live_as_rank, named, wait
from welltuned.experiments.executors.local import LocalWorker
from welltuned.runs import Run

GROUP = "a dead rank"
STEPS = 6
"""Of two that share nine steps' examples."""
WITHIN = 60.0
"""Seconds until the others have ended."""


def ranks(
    forks: Forks, values: dict[str, Any], note: Path, dying: int, step: int
) -> list[LocalWorker]:
    """Two that train together, one of which dies after so many steps."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    launcher = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    death = {"place": "welltuned.engines.loop_state:LoopState.after", "call": step}
    faults = {"suffers": be_signalled, "suffering": {**death, "numbers": [9], "note": str(note)}}
    return [
        forks.begin(
            live_as_rank,
            environment={**launcher, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            values=values,
            **(named(faults) if rank == dying else {}),
        )
        for rank in range(2)
    ]


def require_end(forks: Forks, worker: LocalWorker, within: float) -> None:
    """It ends with a status that says so, and in time."""
    try:
        status, _ = forks.end_of(worker, within)
    except queue.Empty:
        raise AssertionError("it has not ended") from None
    assert status != 0, "it says that all went well"


def die_and_judge(forks: Forks, values: dict[str, Any], note: Path, storm: Storm) -> int:
    """One of two dies after a step that is drawn; returns that step."""
    dying, step = storm.draw.randrange(2), storm.draw.randint(1, STEPS)
    workers = ranks(forks, values, note, dying, step)
    assert forks.end_of(workers[dying])[0] == -signal.SIGKILL
    require_end(forks, workers[1 - dying], WITHIN)
    assert time.time() - float(note.read_text()) < WITHIN
    processes = {worker._process.pid for worker in workers}
    assert not processes & set(forks.children()), "a process is left over"
    return step


@seeded(1, 8)
def test_of_two(
    number: int, forks: Forks, asked: Callable[..., Any], tmp_path: Path, storm: Storm
) -> None:
    with storm.fault():
        die_and_judge(forks, asked(tmp_path / "run"), tmp_path / "died", storm)


@seeded(0, 8)
def test_of_two_that_share_the_weights(
    number: int, forks: Forks, asked: Callable[..., Any], tmp_path: Path, storm: Storm
) -> None:
    """What was saved before is whole: each part of every weight is in it."""
    values = asked(tmp_path / "run", training={"sharding": "fsdp2"})
    with storm.fault():
        step = die_and_judge(forks, values, tmp_path / "died", storm)
        assert step - 3 <= saved(Run(tmp_path / "run")) <= step


def test_what_judges_notices_one_that_waits(forks: Forks, storm: Storm) -> None:
    worker = forks.begin(wait)
    with storm.control("it has not ended"):
        require_end(forks, worker, 2.0)
    worker.kill()
