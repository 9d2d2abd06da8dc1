"""A request in a process of its own: its events, its end, and why it failed."""

from __future__ import annotations

import queue
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from welltuned.errors import Fault, Place
from welltuned.experiments.comparison.worker import client as module
from welltuned.experiments.comparison.worker.client import Event, Worker

CHILD = """
import json, os, signal, sys, time
request = json.loads(sys.stdin.readline())
print(json.dumps({"event": "stepped", "step": 1, "total": 2}), flush=True)
exec(request["code"])
"""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`ended(code)`: the last event of a process that runs some code."""
    (tmp_path / "child.py").write_text(CHILD)
    popen = subprocess.Popen

    def start(command: list[str], **options: Any) -> Any:
        return popen([command[0], str(tmp_path / "child.py")], **options)

    monkeypatch.setattr(subprocess, "Popen", start)

    def run(code: str) -> Event:
        events: queue.Queue[Event] = queue.Queue()
        worker = Worker({"code": code}, events).start()
        assert events.get(timeout=60).values == {"step": 1, "total": 2}
        event = events.get(timeout=60)
        while event.name != "ended":
            event = events.get(timeout=60)
        assert event.worker is worker
        files = worker._process.stdin, worker._process.stdout, worker._log
        assert all(file is not None and file.closed for file in files)
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
    told = "print(json.dumps({'event': 'failed', 'error': 'loss is nan'})); sys.exit(1)"
    assert ended(told).values["error"] == "loss is nan"


def test_faults_are_told(ended: Any) -> None:
    fault = Fault("a.b", "bad", Place("file", 3), "mend it")
    event_line = f"{{'event': 'refused', 'faults': [{fault.as_dict()}]}}"
    told = f"print(json.dumps({event_line})); sys.exit(2)"
    event = ended(told)
    assert event.values["error"] == "bad"
    assert event.worker.refused == [fault.as_dict()]


def test_memory_is_the_most_that_was_seen_or_told(ended: Any) -> None:
    event = ended("print(json.dumps({'event': 'finished', 'memory_bytes': 5_000_000_000_000}))")
    assert event.worker.memory_bytes == 5_000_000_000_000


def test_stopping_is_polite_first_and_firm_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ended: Any
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.5)
    events: queue.Queue[Event] = queue.Queue()
    deaf = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print(json.dumps({'event': 'deaf'}), flush=True)\n"
        "time.sleep(60)"
    )
    worker = Worker({"code": deaf}, events).start()
    while events.get(timeout=60).name != "deaf":
        pass
    started = time.monotonic()
    worker.stop()
    assert 0.5 <= time.monotonic() - started < 20
    assert events.get(timeout=60).values["status"] == -signal.SIGKILL


def test_the_process_ends_when_its_standard_input_closes(ended: Any) -> None:
    """So it does not outlive the comparison, even when that is killed."""
    code = (
        "import threading\n"
        "from welltuned.experiments.comparison.worker import process\n"
        "os.close(0); os.open('/dev/null', os.O_RDONLY)\n"
        "threading.Thread(target=process._end_with_parent).start()\n"
        "time.sleep(60)"
    )
    assert ended(code).values["status"] == 1
