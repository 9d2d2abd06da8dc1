"""Ray: each worker is a task on a Ray cluster, or on one that is started here for the purpose.

A task is an agent on its machine. It takes delivery of the files that are not there, starts a
process as the local executor does, passes its events on, and hands back what it wrote.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import queue
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal
from uuid import uuid4

from pydantic import Field

from welltuned.errors import Fault, InputError
from welltuned.experiments.executors.base import Event, Pool, Worker
from welltuned.experiments.executors.delivery import archived, content_hash, named_paths, unarchive
from welltuned.experiments.executors.executor import Executor
from welltuned.experiments.executors.local import LocalPool

_TICK = 0.5
"""Seconds between looks at a process's memory."""


class Ray(Executor):
    """Tasks of a Ray cluster; needs `welltuned[ray]` on all of its machines."""

    shorthand: ClassVar[str | None] = "address"

    type: Literal["ray"] = "ray"
    address: str | None = Field(default=None, examples=["auto"])
    """The cluster: `auto` for the one that runs here, `ray://HOST:10001` for another. Default: one
    of this machine's cores, for as long as the comparison takes."""
    gpus: float = Field(default=0, ge=0)
    """GPUs of each run, fractions allowed."""

    def open(self) -> Pool:
        if importlib.util.find_spec("ray") is None:
            raise InputError(
                Fault(
                    "executor.ray_missing",
                    "the executor ray needs Ray",
                    None,
                    "pip install 'welltuned[ray]'",
                )
            )
        return RayPool(self.address, self.gpus)


class RayPool(Pool):
    """A connection to a cluster."""

    shares_memory = False

    def __init__(self, address: str | None, gpus: float = 0) -> None:
        import ray

        self._gpus = gpus
        self._owns = not ray.is_initialized()
        if self._owns:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        self._delivered: dict[str, Any] = {}

    @property
    def cores(self) -> int:
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)))

    def start(
        self, request: Mapping[str, object], events: queue.Queue[Event], threads: int | None = None
    ) -> Worker:
        inputs = {str(path): self._deliver(path) for path in set(named_paths(request))}
        resources = {"num_cpus": threads or 1, "num_gpus": self._gpus}
        return RayWorker(request, events, threads, inputs=inputs, resources=resources).start()

    def _deliver(self, path: Path) -> tuple[str, Any]:
        """A file's hash, and its contents in the cluster's store: once, whoever needs it."""
        import ray

        name = content_hash(path)
        assert name is not None
        if name not in self._delivered:
            self._delivered[name] = ray.put(archived(path))
        return name, self._delivered[name]

    def close(self) -> None:
        import ray

        if self._owns:
            ray.shutdown()


@dataclass(eq=False)
class RayWorker(Worker):
    """A request as a task."""

    inputs: dict[str, tuple[str, Any]] = field(default_factory=dict)
    """By path: their hash, and where the cluster has their contents."""
    resources: dict[str, float] = field(default_factory=dict)

    def start(self) -> Worker:
        self._output = _output_of(self.request)
        self._token = _leave_token(self._output) if self._output else None
        task = _task().options(**self.resources)
        self._events = task.remote(
            dict(self.request), self.threads, os.getcwd(), self.inputs, self._output, self._token
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def ask_to_stop(self) -> None:
        import ray

        if self._listener.is_alive():
            ray.cancel(self._events, force=False)

    def stop(self) -> None:
        self.ask_to_stop()
        self._listener.join()

    def sample(self) -> None:
        """Its process's memory is told by its machine."""

    def _listen(self) -> None:
        import ray

        try:
            for reference in self._events:
                self._take(ray.get(reference))
        except ray.exceptions.RayTaskError as error:
            stopped = isinstance(error.cause, (ray.exceptions.TaskCancelledError, type(None)))
            self.end(128 + signal.SIGTERM if stopped else 1, str(error))
        except ray.exceptions.RayError:  # its worker or machine has died
            self.end(-signal.SIGKILL)

    def end(self, status: int, last_words: str = "") -> None:
        self._forget_token()
        super().end(status, last_words)

    def _forget_token(self) -> None:
        if self._token:
            Path(self._token).unlink(missing_ok=True)

    def _take(self, told: dict[str, Any]) -> None:
        if told["event"] == "written":
            assert self._output is not None
            unarchive(told["content"], Path(self._output))
        elif told["event"] == "ended":
            self._forget_token()
            self.memory_bytes = max(self.memory_bytes, told.pop("memory_bytes"))
            self.events.put(Event(self, told.pop("event"), told))
        else:
            self.hear(told)


def _output_of(request: Mapping[str, object]) -> str | None:
    """The folder that a request writes, if it writes one."""
    config = request.get("pipeline") or request.get("config")
    found = request.get("folder") or (isinstance(config, dict) and config.get("output_dir"))
    return str(Path(str(found)).expanduser().absolute()) if found else None


def _leave_token(output: str) -> str:
    """A file beside the output: who sees it shares our file system, and returns nothing."""
    token = Path(output).parent / f".shared-{uuid4().hex}"
    token.parent.mkdir(parents=True, exist_ok=True)
    token.touch()
    return str(token)


# --- On a machine of the cluster -----------------------------------------------------------------


@cache
def _task() -> Any:
    import ray

    # A comparison itself begins a cell again whose machine was lost, whatever carries it out.
    return ray.remote(max_retries=0, num_returns="streaming")(_carry_out)


@cache
def _pool_of_agent() -> LocalPool:
    """The fork server of this Ray process, which stays for its next task."""
    return LocalPool()


def _carry_out(
    request: dict[str, Any],
    threads: int | None,
    folder: str,
    inputs: Mapping[str, tuple[str, Any]],
    output: str | None,
    token: str | None,
) -> Iterator[dict[str, Any]]:
    """The events of a request that is carried out on this machine."""
    try:
        _receive(folder, inputs)
    except InputError as error:
        yield {"event": "refused", "faults": [fault.as_dict() for fault in error.faults]}
        what = "; ".join(fault.what for fault in error.faults)
        yield {"event": "ended", "status": 2, "seconds": 0.0, "error": what, "lost": False,
               "memory_bytes": 0}  # fmt: skip
        return
    events: queue.Queue[Event] = queue.Queue()
    worker = _pool_of_agent().start(request, events, threads)
    try:
        while (event := _next(worker, events)).name != "ended":
            yield {"event": event.name, **event.values}
    finally:
        worker.stop()
    if output and token and not Path(token).exists() and Path(output).exists():
        yield {"event": "written", "content": archived(Path(output))}
    yield {"event": "ended", **event.values, "memory_bytes": worker.memory_bytes}


def _receive(folder: str, inputs: Mapping[str, tuple[str, Any]]) -> None:
    import ray

    for path, (name, content) in inputs.items():
        if content_hash(Path(path)) != name:
            unarchive(ray.get(content), Path(path))
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def _next(worker: Worker, events: queue.Queue[Event]) -> Event:
    while True:
        worker.sample()
        try:
            return events.get(timeout=_TICK)
        except queue.Empty:
            continue
