"""What runs in a program's process: tests one by one, and the limits that it sets itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from welltuned.rlhf.rewards.unit_tests.program import HARNESS, ProgramLimits

LIMITS = ProgramLimits(wall_seconds=20, cpu_seconds=4.5, memory_bytes=2**28)


def carried_out(folder: Path, program: str, *tests: str) -> list[str]:
    """The lines of the result."""
    request = {"program": program, "tests": tests, "word": "told", "limits": asdict(LIMITS)}
    (folder / "request.json").write_text(json.dumps(request))
    subprocess.run([sys.executable, "-I", str(HARNESS), str(folder)], cwd=folder, timeout=60)
    assert not (folder / "request.json").exists(), "the program could read the word in it"
    result = folder / "result"
    return result.read_text().splitlines() if result.exists() else []


def test_each_test_has_the_names_that_were_left_before_it(tmp_path: Path) -> None:
    tests = ["assert x == 1", "assert x == 2", "x += 1", "assert x == 2", "assert __name__ == 'x'"]
    assert carried_out(tmp_path, "x = 1", *tests) == [f"told {ok}" for ok in (1, 0, 1, 1, 0)]


def test_nothing_holds_after_a_program_that_fails(tmp_path: Path) -> None:
    assert carried_out(tmp_path, "raise SystemExit", "pass", "pass") == ["told 0", "told 0"]


def test_a_program_that_ends_the_process_has_told_nothing(tmp_path: Path) -> None:
    assert carried_out(tmp_path, "import os; os._exit(0)", "pass") == []


def test_limits_are_those_of_the_request_and_cannot_be_raised(tmp_path: Path) -> None:
    tests = [
        "assert resource.getrlimit(resource.RLIMIT_CPU) == (5, 5)",  # whole seconds, rounded up
        "assert resource.getrlimit(resource.RLIMIT_AS) == (2**28, 2**28)",
        "assert 10 < signal.getitimer(signal.ITIMER_REAL)[0] <= 20",
        "import os; os.fork()",
        "import socket; socket.socket(socket.AF_INET)",
        "import socket; socket.socketpair()",
    ]
    said = carried_out(tmp_path, "import resource, signal", *tests)
    assert said == [f"told {ok}" for ok in (1, 1, 1, 0, 0, 1)]
