"""Programs in processes of their own: started, limited, and ended with all that they have started.

Where the system lets a user have name spaces (Linux, by `unshare`), a program has neither a network
nor any process but its own, whatever it does. Elsewhere Python refuses both to it, and what it has
started all the same is looked for and ended.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

HARNESS = Path(__file__).with_name("harness.py")
_MARK = "WELLTUNED_PROGRAM"
"""The environment variable that tells a program's processes from others."""
_GRACE = 0.5
"""Seconds of its own that a process may take to begin and to end."""
_ROUNDS, _PAUSE = 50, 0.01
"""How often, and after how many seconds again, those are ended that are left."""
_NAME_SPACES = (
    *("--user", "--map-current-user", "--net", "--pid", "--ipc", "--fork"),
    *("--kill-child", "--"),
)


@dataclass(frozen=True)
class ProgramLimits:
    """What one program may take, its tests included."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: float
    file_bytes: float = 2**24
    """Of each file that it writes."""


def passed_tests(program: str, tests: Sequence[str], limits: ProgramLimits) -> list[bool]:
    """Which tests hold, each run after the program and the tests before it.

    None does that comes after a limit was hit.
    """
    word = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="welltuned-", ignore_cleanup_errors=True) as folder:
        request = {"program": program, "tests": list(tests), "word": word, "limits": asdict(limits)}
        Path(folder, "request.json").write_text(json.dumps(request), encoding="utf-8")
        Path(folder, "work").mkdir()
        _carry_out(folder, word, limits)
        result = Path(folder, "result")
        lines = result.read_text("utf-8", "replace").splitlines() if result.is_file() else []
    said = [line == f"{word} 1" for line in lines if line.startswith(word)]
    return (said + [False] * len(tests))[: len(tests)]


def _carry_out(folder: str, word: str, limits: ProgramLimits) -> None:
    """Run the harness, for so long at most, and end whatever is left of it."""
    work = str(Path(folder, "work"))
    process = subprocess.Popen(
        [*name_spaces(), sys.executable, "-I", str(HARNESS), folder],
        cwd=work,
        env=_environment(work, word),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(limits.wall_seconds + _GRACE)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not name_spaces():
            _end_those_marked(word)


def _environment(work: str, word: str) -> dict[str, str]:
    """Nothing of ours but what Python needs: neither tokens nor paths."""
    threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": os.defpath,
        "HOME": work,
        "TMPDIR": work,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        _MARK: word,
        **dict.fromkeys(threads, "1"),
    }


def _end_those_marked(word: str) -> None:
    """End processes that have left the group of the one that they came from, where /proc tells.

    Again for those that were started meanwhile, until there is none.
    """
    mark = f"{_MARK}={word}".encode()
    for _ in range(_ROUNDS):
        found = [process for process in _processes() if mark in _environment_of(process)]
        if not found:
            return
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE)


def _processes() -> list[int]:
    """All that /proc shows."""
    folder = Path("/proc")
    if not folder.is_dir():
        return []
    return [int(entry.name) for entry in folder.iterdir() if entry.name.isdigit()]


def _environment_of(process: int) -> bytes:
    """What a process was started with; empty where it has ended, or is somebody else's."""
    with suppress(OSError):
        return Path(f"/proc/{process}/environ").read_bytes()
    return b""


@cache
def name_spaces() -> tuple[str, ...]:
    """What a command begins with to have name spaces of its own; empty where there are none."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    begins = unshare, *_NAME_SPACES
    try:
        tried = subprocess.run(
            [*begins, sys.executable, "-I", "-S", "-c", ""], capture_output=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return begins if tried.returncode == 0 else ()
