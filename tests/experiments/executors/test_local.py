"""A request in a process of its own: its events, its end, and why it failed."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from welltuned.errors import Fault, Place
from welltuned.experiments.executors import local as module
from welltuned.experiments.executors.base import Event
from welltuned.experiments.executors.local import LocalPool, LocalWorker

HANDLER = """
import json, os, signal, sys, time

def run(request, tell):
    tell("stepped", step=1, total=2)
    exec(request["code"], {**globals(), "tell": tell})
"""

Events = queue.Queue[Event]
Begun = Callable[[str], tuple[LocalWorker, Events]]

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux alone")


@pytest.fixture(params=["fresh", pytest.param("fork", marks=linux)])
def pool(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[LocalPool]:
    """A pool whose processes import nothing heavy: fresh interpreters, or forks of one."""
    (tmp_path / "handler_of_test.py").write_text(HANDLER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    with LocalPool(forks=request.param == "fork", preloaded=()) as pool:
        yield pool


@pytest.fixture
def begun(pool: LocalPool) -> Begun:
    """`begun(code)`: a worker that runs some code, and has told its first event."""

    def begin(code: str) -> tuple[LocalWorker, Events]:
        events: Events = queue.Queue()
        worker = pool.start({"do": "handler_of_test:run", "code": code}, events)
        assert events.get(timeout=60).values == {"step": 1, "total": 2}
        assert isinstance(worker, LocalWorker)
        return worker, events

    return begin


@pytest.fixture
def ended(begun: Begun) -> Callable[[str], Event]:
    """`ended(code)`: the last event of a worker that runs some code."""

    def run(code: str) -> Event:
        worker, events = begun(code)
        event: Event = events.get(timeout=60)
        while event.name != "ended":
            event = events.get(timeout=60)
        assert event.worker is worker
        assert all(file.closed for file in (worker._asking, worker._events, worker._log))
        return event

    return run


def test_a_good_end_has_no_reason(ended: Any) -> None:
    event = ended("time.sleep(0.1)")
    assert event.values["error"] is None and event.values["status"] == 0
    assert 0.1 < event.values["seconds"] < 60


def test_a_crash_tells_its_last_words(ended: Any) -> None:
    error = ended("raise ValueError('no luck')").values["error"]
    assert error.endswith("ValueError: no luck")


def test_a_killed_process_tells_the_signal(ended: Any) -> None:
    error = ended("os.kill(os.getpid(), signal.SIGKILL)").values["error"]
    assert error == ("its process was ended by SIGKILL: most likely the machine ran out of memory")
    assert ended("os.kill(os.getpid(), signal.SIGSEGV)").values["error"].endswith("by SIGSEGV")


def test_a_told_error_goes_before_last_words(ended: Any) -> None:
    told = "tell('failed', error='loss is nan'); sys.exit(1)"
    assert ended(told).values["error"] == "loss is nan"


def test_faults_are_told(ended: Any) -> None:
    fault = Fault("a.b", "bad", Place("file", 3), "mend it")
    event = ended(f"tell('refused', faults=[{fault.as_dict()}]); sys.exit(2)")
    assert event.values["error"] == "bad"
    assert event.worker.refused == [fault.as_dict()]


def test_memory_is_the_most_that_was_seen_or_told(ended: Any) -> None:
    event = ended("tell('finished', memory_bytes=5_000_000_000_000)")
    assert event.worker.memory_bytes == 5_000_000_000_000


def test_what_it_computed_is_told(ended: Any) -> None:
    event = ended("sum(range(10_000_000)); time.sleep(0.5)")
    assert 0.01 < event.worker.cpu_seconds < event.values["seconds"]


def test_stopping_is_polite_first_and_firm_then(
    monkeypatch: pytest.MonkeyPatch, begun: Any
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); tell('deaf'); time.sleep(60)"
    worker, events = begun(deaf)
    while events.get(timeout=60).name != "deaf":
        pass
    started = time.monotonic()
    worker.stop()
    assert 0.5 <= time.monotonic() - started < 20
    assert events.get(timeout=60).values["status"] == -signal.SIGKILL


def test_its_children_are_killed_with_it(monkeypatch: pytest.MonkeyPatch, begun: Any) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    code = (
        "import subprocess\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "tell('child', pid=subprocess.Popen(['sleep', '60']).pid)\n"
        "time.sleep(60)"
    )
    worker, events = begun(code)
    child = events.get(timeout=60).values["pid"]
    worker.stop()
    _wait_for(lambda: not _is_alive(child))


def test_the_process_ends_when_its_standard_input_closes(begun: Any) -> None:
    """So it does not outlive the comparison, even when that is killed."""
    worker, events = begun("time.sleep(60)")
    worker._asking.close()
    assert events.get(timeout=60).values["status"] == 1


def test_where_the_server_dies_a_job_is_lost_and_the_next_one_is_carried_out(
    pool: LocalPool, begun: Any
) -> None:
    _, events = begun("time.sleep(60)")
    if pool._server is None:
        pytest.skip("there is no server")
    pool._server._process.kill()
    pool._server._process.wait()
    assert events.get(timeout=60).values["lost"]
    _, events = begun("pass")
    assert [events.get(timeout=60).name for _ in range(2)] == ["finished", "ended"]


def _is_alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
