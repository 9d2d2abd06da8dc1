"""Client side of a worker: start the process, send a request, receive events."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from welltuned.experiments.comparison.worker.tree_memory import tree_memory

_PATIENCE = 10.0
"""Seconds a process is given to end by itself before it is killed."""
_LAST_LINES = 3


@dataclass(frozen=True)
class Event:
    """What a worker told; the last one of each is `ended`."""

    worker: Worker
    name: str
    values: dict[str, Any]


@dataclass(eq=False)
class Worker:
    """A process that carries out one request and puts its events into a queue."""

    request: Mapping[str, object]
    events: queue.Queue[Event]
    threads: int | None = None
    """Threads of its matrix products; None leaves that to torch."""
    memory_bytes: int = 0
    """The most it and its children were seen to hold together."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Faults it told."""
    error: str | None = None
    """Its error message."""

    def start(self) -> Worker:
        """Begin. The process has its own session: a terminal's signals reach it through us."""
        environment = dict(os.environ)
        if self.threads is not None:
            environment |= {"OMP_NUM_THREADS": str(self.threads)}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the worker)
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "welltuned.experiments.comparison.worker.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self.request) + "\n")
        self._process.stdin.flush()  # and it stays open: its end is our end
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def sample(self) -> None:
        """Look how much memory it holds now."""
        self.memory_bytes = max(self.memory_bytes, tree_memory(self._process.pid))

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._started

    def stop(self) -> None:
        """End it, first politely."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            values = json.loads(line)
            self._hear(values)
            self.events.put(Event(self, values.pop("event"), values))
        status = self._process.wait()
        ended = {"status": status, "seconds": self.seconds, "error": self._reason(status)}
        for file in (self._process.stdin, self._process.stdout, self._log):
            assert file is not None
            with suppress(BrokenPipeError):  # a request that the process did not live to read
                file.close()
        self.events.put(Event(self, "ended", ended))

    def _hear(self, values: dict[str, Any]) -> None:
        if values["event"] == "refused":
            self.refused = values["faults"]
        elif values["event"] == "failed":
            self.error = values["error"]
        elif values["event"] == "finished":
            self.memory_bytes = max(self.memory_bytes, values["memory_bytes"])

    def _reason(self, status: int) -> str | None:
        """Why it ended badly; None when it ended well."""
        if status == 0:
            return None
        if self.refused:
            return "; ".join(fault["what"] for fault in self.refused)
        if self.error:
            return self.error
        if status < 0:
            name = signal.Signals(-status).name
            hint = ": most likely the machine ran out of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}"
        return self._last_words() or f"its process ended with status {status}"

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-_LAST_LINES:])
