"""Workers, each of which carries out one request elsewhere, and pools that start them."""

from __future__ import annotations

import queue
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_LAST_LINES = 3

Told = dict[str, Any]
"""An event as JSON has it, its name under `event`."""


@dataclass(frozen=True)
class Event:
    """What a worker told; the last one of each is `ended`."""

    worker: Worker
    name: str
    values: dict[str, Any]


@dataclass(eq=False)
class Worker(ABC):
    """A request under way; its events come into a queue."""

    request: Mapping[str, object]
    events: queue.Queue[Event]
    threads: int | None = None
    """Threads of its matrix products; None leaves that to torch."""
    memory_bytes: int = 0
    """The most that its process was seen to hold, with its children."""
    cpu_seconds: float | None = None
    """What its process has computed, by its own account; None where it did not live to tell."""
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Faults it told."""
    error: str | None = None
    """Its error message."""
    _started: float = field(default_factory=time.monotonic, repr=False)

    @abstractmethod
    def start(self) -> Worker:
        """Begin; returns itself."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Tell it that it is to end, without waiting: several are stopped at once like this."""

    @abstractmethod
    def stop(self) -> None:
        """End it, first politely; returns when it has ended."""

    @abstractmethod
    def sample(self) -> None:
        """Look how much memory it holds now, where that can be seen."""

    @property
    def seconds(self) -> float:
        """Since it was started."""
        return time.monotonic() - self._started

    def hear(self, told: Told) -> None:
        """Take in an event and pass it on."""
        values = dict(told)
        name = values.pop("event")
        if name == "refused":
            self.refused = values["faults"]
        elif name == "failed":
            self.error = values["error"]
        elif name == "finished":
            self.memory_bytes = max(self.memory_bytes, values["memory_bytes"])
            self.cpu_seconds = values.get("cpu_seconds")
        self.events.put(Event(self, name, values))

    def end(self, status: int, last_words: str = "") -> None:
        """Pass on that it has ended; a negative status is the signal that ended its process."""
        lost = status < 0
        error = None if status == 0 else self._reason(status, last_words)
        ended = {"status": status, "seconds": self.seconds, "error": error, "lost": lost}
        self.events.put(Event(self, "ended", ended))

    def _reason(self, status: int, last_words: str) -> str:
        if self.refused:
            return "; ".join(fault["what"] for fault in self.refused)
        if self.error:
            return self.error
        if status < 0:
            name = signal.Signals(-status).name
            hint = ": most likely the machine ran out of memory" if name == "SIGKILL" else ""
            return f"its process was ended by {name}{hint}"
        lines = last_words.strip().splitlines()[-_LAST_LINES:]
        told = " | ".join(line.strip() for line in lines)
        return told or f"its process ended with status {status}"


class Pool(ABC):
    """Starts workers, each in a process of its own."""

    shares_memory = True
    """Whether its workers live in this machine's memory."""

    @property
    @abstractmethod
    def cores(self) -> int:
        """Cores that workers have together."""

    @abstractmethod
    def start(
        self, request: Mapping[str, object], events: queue.Queue[Event], threads: int | None = None
    ) -> Worker:
        """A worker for a request, whose events come into the queue.

        `threads` is how many its matrix products have; None leaves that to torch.
        """

    def warm_up(self) -> None:  # noqa: B027 (most have nothing to begin)
        """Begin, without waiting, what the first worker would have to wait for."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what the pool holds; no worker is under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
