"""Worker main program: `python -m welltuned.experiments.executors.process`.

It reads one request from standard input, a line of JSON, and tells what happens
on standard output, a line of JSON an event. A crash ends this process and nothing
else; when the process that asked is gone, this one goes too.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from welltuned.errors import InputError, Stopped, WelltunedError

Tell = Callable[..., None]
"""Sends an event: `tell("stepped", step=3)`."""


def run_worker() -> None:
    """Carry out the request on standard input, and end with its exit status."""
    tell = _claim_stdout()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if request["threads"] is not None:
        limit_threads(request["threads"])
    sys.exit(handle_request(request, tell))


def handle_request(request: Mapping[str, object], tell: Tell) -> int:
    """Do what a request asks for; returns the exit status. What is wrong is told.

    Its `do` names who does it, `MODULE:FUNCTION`, which is called with the request and `tell`.
    """
    computed = _cpu_seconds()
    try:
        module, _, function = str(request["do"]).partition(":")
        getattr(importlib.import_module(module), function)(request, tell)
    except InputError as error:
        tell("refused", faults=[fault.as_dict() for fault in error.faults])
        return error.exit_status
    except Stopped as stop:
        return stop.exit_status
    except WelltunedError as error:
        tell("failed", error=str(error))
        return error.exit_status
    tell("finished", memory_bytes=_own_peak(), cpu_seconds=_cpu_seconds() - computed)
    return 0


def limit_threads(threads: int) -> None:
    """So many threads for each product of matrices: they decide how sums are rounded, too."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")


def _claim_stdout() -> Tell:
    """Standard output for events alone: whatever libraries print goes to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    one_at_a_time = threading.Lock()  # a thread tells of long waits

    def tell(event: str, **values: Any) -> None:
        with one_at_a_time:
            events.write(json.dumps({"event": event, **values}) + "\n")
            events.flush()

    return tell


def _end_with_parent() -> None:
    """Standard input closes when the parent ends, even when it is killed."""
    sys.stdin.read()
    os._exit(1)


def _cpu_seconds() -> float:
    """What this process and its ended children have computed."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _own_peak() -> int:
    """The most memory this process ever held."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run_worker()
