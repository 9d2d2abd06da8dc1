"""A lock between processes, free again when its holder dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from welltuned.runs.locks import Lock, holding

HOLD = (
    "import sys, time\nfrom pathlib import Path\nfrom welltuned.runs.locks import Lock\n"
    "Lock(Path(sys.argv[1])).acquire()\nprint('held', flush=True)\ntime.sleep(60)"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds `tmp_path/lock`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_is_held_once_and_can_be_had_again(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "deep" / "lock"), Lock(tmp_path / "deep" / "lock")
    assert first.acquire()
    assert not second.acquire(wait=False)
    first.release()
    assert second.acquire(wait=False)
    second.release()


def test_a_killed_process_lets_go(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    lock = Lock(tmp_path / "lock")
    assert not lock.acquire(wait=False)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock.acquire(wait=False)
    lock.release()


def test_whoever_waits_gets_it_next(tmp_path: Path) -> None:
    order: list[str] = []
    first = Lock(tmp_path / "lock")
    first.acquire()

    def wait() -> None:
        with holding(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    order.append("first")
    first.release()
    thread.join(timeout=10)
    assert order == ["first", "second"]
    assert Lock(tmp_path / "lock").acquire(wait=False)
