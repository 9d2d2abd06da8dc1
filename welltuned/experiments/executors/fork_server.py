"""Fork server: a process that imports everything once, and forks for each worker.

Importing torch and transformers takes seconds; to fork a process that has done so, milliseconds.
The server computes nothing and starts no thread, which a fork would lose. It serves as that of
`multiprocessing` does, but a worker never runs its caller's main module again, so a script need not
be guarded by `if __name__ == "__main__"`.

The caller sends each worker's standard streams, and the server the process's number and later its
exit status. Each worker lives as long as its standard input is open, and the server as long as its
socket: neither outlives the caller, even when that is killed.
"""

from __future__ import annotations

import gc
import importlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from welltuned.experiments.executors.process import run_worker
from welltuned.runs.child_python import child_environment, module_command

PRELOADED = (
    "matplotlib.figure",
    "peft",
    "sklearn.linear_model",
    "sklearn.feature_extraction.text",
    "transformers",
    "transformers.models.auto.modeling_auto",
    "welltuned.training.train",
    "welltuned.experiments.comparison.worker.baselines",
    "welltuned.experiments.comparison.worker.feasibility",
)
"""What nearly every worker imports."""
_PER_WORKER = 4
"""Descriptors of a worker: standard input, output and error, and where its status is told."""


def forks_safely() -> bool:
    """Whether a process that has imported everything may be forked.

    Not on macOS, whose system libraries do not survive it, nor where a GPU is, whose driver may
    have been woken by an import.
    """
    devices = Path("/dev")
    has_gpu = any(devices.glob("nvidia[0-9]*")) or (devices / "kfd").exists()
    return sys.platform == "linux" and not has_gpu


# --- For whoever wants a process ---------------------------------------------------------------


class ForkServer:
    """The caller's side: it starts the server, and asks it for processes."""

    def __init__(self, preloaded: Sequence[str] = PRELOADED) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                module_command(__name__, str(theirs.fileno()), *preloaded),
                env=child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.poll() is None

    def fork(self, stdin: int, stdout: int, stderr: int) -> Fork:
        """A new process with these streams. It may be there only when the server has imported."""
        told, telling = os.pipe()
        try:
            socket.send_fds(self._socket, [b"fork"], [stdin, stdout, stderr, telling])
        except OSError:  # it has died; so will the process be found to have
            pass
        finally:
            os.close(telling)
        return Fork(self, told)

    def close(self) -> None:
        """End the server at once; it holds nothing that could be lost."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


class Fork:
    """A process of a fork server, with what is needed here of `subprocess.Popen`."""

    def __init__(self, server: ForkServer, told: int) -> None:
        self._server = server
        self._told = os.fdopen(told, encoding="ascii")
        self._status: int | None = None
        self.pid = 0
        """Its number; 0 while the server has not come so far."""
        self._ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with self._told:
            self.pid = int(self._told.readline() or 0)
            status = self._told.readline()
        if not status and self.pid:  # nobody would tell how it ended
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        self._status = int(status or -signal.SIGKILL)
        self._ended.set()

    def poll(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._status

    def wait(self) -> int:
        """Its exit status, once it has ended; it counts as killed where the server died first."""
        self._ended.wait()
        assert self._status is not None
        return self._status

    def send_signal(self, number: int) -> None:
        """As `os.kill`. What has not begun never will: the server is ended."""
        if self.pid:
            os.kill(self.pid, number)
        else:
            self._server.close()


# --- The server itself ---------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    """Fork at every message. Returns in each new process; the server ends with its caller."""
    heard, wake = socket.socketpair()
    heard.setblocking(False)
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake.fileno())
    statuses: dict[int, int] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        ready.register(heard, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is heard:
                    heard.recv(4096)
                    _tell_ends(statuses)
                    continue
                _, descriptors, _, _ = socket.recv_fds(control, 16, _PER_WORKER)
                if not descriptors:
                    sys.exit()
                if not _forked(descriptors, statuses):
                    control.close()
                    heard.close()
                    wake.close()
                    return


def _forked(descriptors: list[int], statuses: dict[int, int]) -> int:
    """As `os.fork`; the new process has its streams, and the server knows whom to tell its end."""
    *streams, status = descriptors
    process = os.fork()
    if process:
        for stream in streams:
            os.close(stream)
        _tell(status, process)
        statuses[process] = status
        return process
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for descriptor in (*statuses.values(), status):
        os.close(descriptor)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return 0


def _tell_ends(statuses: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            process, how = ended
            status = statuses.pop(process)
            _tell(status, os.waitstatus_to_exitcode(how))
            os.close(status)


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):
        os.write(status, f"{number}\n".encode())


def _preload(modules: Sequence[str]) -> None:
    for module in modules:
        with suppress(Exception):  # the worker that needs it will say what is wrong
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # so that a collection does not copy the pages that all processes share


def _main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    _preload(sys.argv[2:])
    serve(control)
    run_worker()


if __name__ == "__main__":
    _main()
