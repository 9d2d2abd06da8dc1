"""One process works on a comparison at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from faults import refused
from welltuned.experiments.comparison.locking import locked

HOLD = (
    "import sys\nfrom pathlib import Path\n"
    "from welltuned.experiments.comparison.locking import locked\n"
    "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


def test_a_second_process_is_refused_and_told_who_is_first(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    with refused("compare.in_progress") as error, locked(tmp_path):
        pass
    assert error.value.faults[0].values["holder"].startswith(f"process {holder.pid} on ")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with locked(tmp_path):  # the file is still there, and holds nobody up
        assert "process" in (tmp_path / ".lock").read_text()


def test_the_lock_is_let_go(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path / "new"):
            pass


def test_a_file_left_behind_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(
        "process 1 on elsewhere, and more that is longer than ours\n" * 9
    )
    with locked(tmp_path):
        assert (tmp_path / ".lock").read_text().count("\n") == 1
