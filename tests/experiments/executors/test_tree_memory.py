"""Memory of a process and its descendants."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from welltuned.experiments.executors.tree_memory import tree_memory

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@linux
def test_children_count(tmp_path: Path) -> None:
    code = "import sys\nheld = bytearray(60_000_000)\nprint('ready', flush=True)\nsys.stdin.read()"
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {code!r}], stdin=subprocess.PIPE)\n"
        "sys.stdin.read()\nchild.stdin.close()\nchild.wait()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    held = tree_memory(process.pid)
    assert 65_000_000 < held < 200_000_000
    process.communicate()


def test_a_process_that_is_gone_holds_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert tree_memory(process.pid) == 0
