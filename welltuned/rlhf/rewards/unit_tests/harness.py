"""What runs a program and its tests, in a process of its own: `python -I harness.py FOLDER`.

Reads FOLDER/request.json and removes it, limits itself, runs the program, then each test in the
names that the program has left, and writes a line for each test into FOLDER/result. Needs nothing
but Python's own library, and is not imported by welltuned.

A line begins with a word that the program was not told, so that one which ends the process early,
or writes a result of its own, has passed nothing.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from typing import Any

_REFUSED = {
    *("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"),
    *("subprocess.Popen", "pty.spawn", "_thread.start_new_thread", "os.kill", "os.killpg"),
}
"""What a program may not do, as Python's audit events call it."""


def _run(folder: str) -> None:
    request_file = os.path.join(folder, "request.json")
    with open(request_file, encoding="utf-8") as file:
        request = json.load(file)
    os.unlink(request_file)
    _limit(request["limits"])
    _forbid()
    held: dict[str, Any] = {"__name__": "program"}
    started = _holds(request["program"], held)
    for test in request["tests"]:
        passed = started and _holds(test, held)
        with open(os.path.join(folder, "result"), "a", encoding="utf-8") as result:
            result.write(f"{request['word']} {int(passed)}\n")


def _limit(limits: dict[str, float]) -> None:
    """Bounds that the system keeps; none can be raised again."""
    cpu_seconds, wall_seconds = limits["cpu_seconds"], limits["wall_seconds"]
    bounds = {
        resource.RLIMIT_CPU: -int(-cpu_seconds // 1),
        resource.RLIMIT_AS: int(limits["memory_bytes"]),
        resource.RLIMIT_FSIZE: int(limits["file_bytes"]),
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,  # no process and no thread; the superuser is not bound by it
    }
    for kind, most in bounds.items():
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    # Where whoever started this is gone, nobody else ends it:
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(1))
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)


def _forbid() -> None:
    """Let Python itself refuse processes, threads and the network, for good."""
    local = getattr(socket, "AF_UNIX", None)

    def hear(event: str, given: tuple[Any, ...]) -> None:
        pairs = event == "socket.__new__" and given[1] == local  # event loops talk to themselves
        if event in _REFUSED or (event.startswith("socket.") and not pairs):
            raise PermissionError(f"a program that is tried may not do this: {event}")

    sys.addaudithook(hear)


def _holds(code: str, names: dict[str, Any]) -> bool:
    """Whether a piece of a program runs to its end."""
    try:
        exec(compile(code, "<program>", "exec"), names)
    except BaseException:  # SystemExit and KeyboardInterrupt, too: it did not come to its end
        return False
    return True


if __name__ == "__main__":
    _run(sys.argv.pop())
    os._exit(0)
