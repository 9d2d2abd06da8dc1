"""Local processes: each worker has one of its own on this machine.

Where that is safe, it is the fork of a process that has imported everything once; elsewhere an
interpreter of its own, which imports for itself.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from welltuned.experiments.executors.base import Event, Pool, Worker
from welltuned.experiments.executors.executor import Executor
from welltuned.experiments.executors.fork_server import PRELOADED, ForkServer, forks_safely
from welltuned.experiments.executors.tree_memory import tree_memory
from welltuned.runs.child_python import child_environment, module_command
from welltuned.runs.usable_cores import usable_cores

_PATIENCE = 10.0
"""Seconds a process is given to end by itself before it is killed."""
_PROGRAM = "welltuned.experiments.executors.process"


class Process(Protocol):
    """What a worker needs of its process: `subprocess.Popen` has it, and so has a fork."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, number: int) -> None: ...


@dataclass(eq=False)
class LocalWorker(Worker):
    """A request in a process of its own on this machine."""

    server: ForkServer | None = None
    """Whose fork it is; None: an interpreter of its own."""

    def start(self) -> Worker:
        """Begin. The process has its own session: a terminal's signals reach it through us."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the worker)
        asked, asking = os.pipe()
        told, telling = os.pipe()
        self._asking = os.fdopen(asking, "w", encoding="utf-8")
        self._events = os.fdopen(told, encoding="utf-8")
        try:
            self._process = self._begin(asked, telling)
        finally:
            os.close(asked)
            os.close(telling)
        request = {**self.request, "threads": self.threads}
        threading.Thread(target=self._ask, args=(json.dumps(request) + "\n",), daemon=True).start()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def _begin(self, asked: int, telling: int) -> Process:
        if self.server is not None:
            return self.server.fork(asked, telling, self._log.fileno())
        environment = child_environment()
        if self.threads is not None:
            environment |= {"OMP_NUM_THREADS": str(self.threads)}
        return subprocess.Popen(
            module_command(_PROGRAM),
            stdin=asked,
            stdout=telling,
            stderr=self._log,
            env=environment,
            start_new_session=True,
        )

    def sample(self) -> None:
        self.memory_bytes = max(self.memory_bytes, tree_memory(self._process.pid))

    def ask_to_stop(self) -> None:
        self._signal(signal.SIGTERM)

    def stop(self) -> None:
        self.ask_to_stop()
        self._listener.join(_PATIENCE)
        if self._listener.is_alive():
            self._signal(signal.SIGKILL)
            self._listener.join()

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """To the process and to its children, where there are process groups."""
        if self._process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            # A fork that has not begun has the number 0, which would be our own process group.
            if number == signal.SIGKILL and self._process.pid and hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            self._process.send_signal(number)

    def _ask(self, text: str) -> None:
        """Send the request. The pipe stays open: its end is our end."""
        with suppress(BrokenPipeError, ValueError):  # the process did not live to read it
            self._asking.write(text)
            self._asking.flush()

    def _listen(self) -> None:
        for line in self._events:
            self.hear(json.loads(line))
        status = self._process.wait()
        self._events.close()
        with suppress(BrokenPipeError):
            self._asking.close()
        with self._log:
            self._log.seek(0)
            words = self._log.read().decode("utf-8", "replace")
        self.end(status, words)


class Local(Executor):
    """Processes on this machine."""

    type: Literal["local"] = "local"

    def open(self) -> Pool:
        return LocalPool()


class LocalPool(Pool):
    """Processes on this machine: forks of one that has imported everything, where that is safe."""

    def __init__(self, forks: bool | None = None, preloaded: Sequence[str] = PRELOADED) -> None:
        self._server: ForkServer | None = None
        self._forks = forks_safely() if forks is None else forks
        self._preloaded = preloaded

    @property
    def cores(self) -> int:
        return usable_cores()

    def start(
        self, request: Mapping[str, object], events: queue.Queue[Event], threads: int | None = None
    ) -> Worker:
        self.warm_up()
        if self._server is not None and not self._server.is_alive:
            self.close()
            self._forks = False  # what has ended it may end the next one, too
        return LocalWorker(request, events, threads, server=self._server).start()

    def warm_up(self) -> None:
        if self._forks and self._server is None:
            self._server = ForkServer(self._preloaded)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
