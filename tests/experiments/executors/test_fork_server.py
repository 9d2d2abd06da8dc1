"""A process that forks for each worker: what its forks are given, and when they end."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from welltuned.experiments.executors.fork_server import ForkServer, forks_safely

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux alone")


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer(preloaded=())
    yield server
    server.close()


def test_a_fork_has_its_streams_and_tells_its_status(server: ForkServer) -> None:
    """The worker's program reads a request; one that it cannot read ends it with status 1."""
    asked, asking = os.pipe()
    with tempfile.TemporaryFile() as told:
        fork = server.fork(asked, told.fileno(), told.fileno())
        os.close(asked)
        os.write(asking, b"no request\n")
        assert fork.wait() == 1 == fork.poll()
        os.close(asking)
        told.seek(0)
        assert b"JSONDecodeError" in told.read()
    assert os.getsid(os.getpid()) != fork.pid and server.is_alive


def test_a_server_that_is_gone_gives_lost_processes(server: ForkServer) -> None:
    server._process.kill()
    server._process.wait()
    with open(os.devnull, "w+b") as nothing:
        fork = server.fork(*[nothing.fileno()] * 3)
    assert fork.wait() == -signal.SIGKILL and fork.pid == 0


def test_there_is_no_forking_beside_a_gpu_or_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert not forks_safely()
    monkeypatch.setattr(Path, "glob", lambda folder, name: iter([folder / "nvidia0"]))
    assert not forks_safely()
