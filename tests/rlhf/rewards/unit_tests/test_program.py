"""Programs that do what they should not: each is over in time, has passed nothing, leaves nothing.

Whether or not the system gives them name spaces.
"""

from __future__ import annotations

import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from welltuned.rlhf.rewards.unit_tests import program
from welltuned.rlhf.rewards.unit_tests.program import ProgramLimits, name_spaces, passed_tests

LIMITS = ProgramLimits(wall_seconds=10, cpu_seconds=5, memory_bytes=2**28, file_bytes=2**16)
HASTY = ProgramLimits(wall_seconds=0.5, cpu_seconds=5, memory_bytes=2**28)
ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(params=["name spaces", "none"])
def spaces(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of keeping programs apart, where the system has both."""
    if request.param == "none":
        monkeypatch.setattr(program, "name_spaces", lambda: ())
    elif not name_spaces():
        pytest.skip("this system gives nobody name spaces of their own")


def processes_with(word: str) -> list[str]:
    """Processes that have a word in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found


def test_each_test_is_counted_by_itself() -> None:
    tests = ["assert add(2, 3) == 5", "assert add(2, 2) == 5", "x = add(1, 1)", "assert x == 2"]
    assert passed_tests(ADD, tests, LIMITS) == [True, False, True, True]


@pytest.mark.parametrize(
    "code",
    [
        "def add(a, b: return",
        "raise ValueError",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
    ],
)
def test_a_program_that_does_not_come_to_its_end_passes_nothing(code: str) -> None:
    assert passed_tests(code, ["pass"], LIMITS) == [False]


@pytest.mark.usefixtures("spaces")
def test_a_program_that_hangs_is_ended_in_time() -> None:
    began = time.monotonic()
    tests = ["pass", "import time; time.sleep(60)", "pass"]
    assert passed_tests(ADD, tests, HASTY) == [True, False, False]
    assert time.monotonic() - began < 5


def test_a_program_that_computes_for_ever_is_ended_by_the_system() -> None:
    limits = ProgramLimits(wall_seconds=20, cpu_seconds=1, memory_bytes=2**28)
    began = time.monotonic()
    assert passed_tests("while True: pass", ["pass"], limits) == [False]
    assert time.monotonic() - began < 15


def test_memory_and_files_have_bounds() -> None:
    tests = [
        "held = bytearray(2**29)",
        "open('large', 'wb').write(bytes(2**20))",
        "assert add(1, 1) == 2",
    ]
    assert passed_tests(ADD, tests, LIMITS) == [False, False, True]


@pytest.mark.usefixtures("spaces")
def test_neither_processes_nor_the_network_are_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        refused = [
            "import os; os.fork()",
            "import subprocess; subprocess.run(['true'])",
            "import os; os.system('true')",
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)",
            f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}', timeout=1)",
        ]
        allowed = ["import asyncio; asyncio.run(asyncio.sleep(0))"]
        passed = passed_tests("", [*refused, *allowed], LIMITS)
    assert passed == [False] * len(refused) + [True]


ESCAPES = """
import ctypes, time
libc = ctypes.CDLL(None)
if libc.fork() == 0:
    libc.setsid()
    time.sleep(60)
"""
"""A child that Python is not asked for, in a session of its own."""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.usefixtures("spaces")
def test_what_a_program_starts_behind_pythons_back_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    passed_tests(ESCAPES, ["pass"], LIMITS)
    assert processes_with(str(tmp_path)) == []


def test_a_program_has_a_folder_of_its_own_and_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tests = [
        "import os; assert 'HF_TOKEN' not in os.environ",
        "assert os.listdir() == []",
        "open('mine', 'w').write('x')",
        f"assert os.getcwd().startswith({str(tmp_path)!r})",
        "import sys; assert not sys.stdin.read() and len(sys.argv) == 1",
    ]
    assert passed_tests("", tests, LIMITS) == [True] * len(tests)
    assert os.listdir(tmp_path) == []


def test_a_result_that_a_program_writes_itself_counts_for_nothing() -> None:
    forged = "open('../result', 'w').write('0' * 32 + ' 1\\n'); import os; os._exit(0)"
    assert passed_tests(forged, ["pass"], LIMITS) == [False]
