"""Processes of their own for tests, forked from one that has imported everything.

An interpreter that begins anew imports torch and transformers, for seven seconds of work. What is
told by signals, locks, ranks and exit statuses needs processes, but not that.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from welltuned.experiments.executors.base import Event
from welltuned.experiments.executors.fork_server import PRELOADED
from welltuned.experiments.executors.local import LocalPool, LocalWorker


class Forks:
    """`forks.begin(function, …)`: a process that calls a function of a file beside this one."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        forks = sys.platform.startswith("linux")
        besides = ("optuna", "torch.distributed.fsdp", "welltuned.cli")
        self._pool = LocalPool(forks=forks, preloaded=(*PRELOADED, *besides))
        self._ends: dict[LocalWorker, queue.Queue[Event]] = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", path)
            self._pool.warm_up()

    def begin(self, function: Any, **values: Any) -> LocalWorker:
        """A process under way, with one thread."""
        events: queue.Queue[Event] = queue.Queue()
        request = {"do": f"{function.__module__}:{function.__name__}", **values}
        worker = self._pool.start(request, events, 1)
        assert isinstance(worker, LocalWorker)
        self._ends[worker] = events
        return worker

    def end_of(self, worker: LocalWorker, within: float = 120) -> tuple[int, str | None]:
        """Waits for its end, and returns its exit status and its error."""
        while (event := self._ends[worker].get(timeout=within)).name != "ended":
            pass
        return event.values["status"], event.values["error"]

    def children(self) -> list[int]:
        """The processes that it has forked and that are under way."""
        assert self._pool._server is not None
        server = self._pool._server._process.pid
        told = Path(f"/proc/{server}/task/{server}/children").read_text()
        return [int(process) for process in told.split()]

    def lend(self, patch: pytest.MonkeyPatch) -> None:
        """Let whoever wants local processes have them from here, for one test."""
        server = self._pool._server
        patch.setattr(LocalPool, "warm_up", lambda pool: setattr(pool, "_server", server))
        patch.setattr(LocalPool, "close", lambda pool: None)

    def close(self) -> None:
        for worker in self._ends:
            worker.stop()
        self._pool.close()


def free_port() -> int:
    """One of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ranks(
    forks: Forks, function: Any, asked: Sequence[Mapping[str, Any]]
) -> list[tuple[int, str | None]]:
    """How processes ended that train together, each of them asked for something: (status, error).

    They are told what torchrun tells those that it starts.
    """
    number = str(len(asked))
    launcher = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    sizes = {"WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    workers = [
        forks.begin(
            function,
            environment={**launcher, **sizes, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            **own,
        )
        for rank, own in enumerate(asked)
    ]
    return [forks.end_of(worker) for worker in workers]


# --- In such a process ---------------------------------------------------------------------------


def train_as_rank(request: Any, tell: Any) -> None:
    """Train as one of several processes, with what a launcher tells each in its environment."""
    os.environ.update(request["environment"])
    import welltuned as wt

    if request.get("stops_after"):
        _stop_after(request["stops_after"])
    if request.get("resumes"):
        wt.resume(request["values"]["output_dir"])
    else:
        wt.train(**request["values"])


def train_each_as_rank(request: Any, tell: Any) -> None:
    """Train one after another, as `train_as_rank` does: the processes meet only once."""
    os.environ.update(request["environment"])
    import welltuned as wt

    for values in request["each"]:
        wt.train(**values)


def _stop_after(step: int) -> None:
    """This process sends itself a signal to stop, once so many steps are taken."""
    from welltuned.engines.loop_state import LoopState

    after = LoopState.after

    def stopped(state: LoopState, planned: Any, *found: Any) -> Any:
        if planned.number == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return after(state, planned, *found)

    LoopState.after = stopped  # type: ignore[method-assign, assignment]


def carry_out_command(request: Any, tell: Any) -> None:
    """A command of `welltuned`, whose workers are threads, so that they end with it.

    What it prints for people goes into the file `told`.
    """
    os.dup2(os.open(request["told"], os.O_WRONLY | os.O_CREAT), 2)
    from comparing import without_processes
    from welltuned import cli

    without_processes(pytest.MonkeyPatch())
    sys.argv = ["welltuned", *request["arguments"]]
    cli.main()
