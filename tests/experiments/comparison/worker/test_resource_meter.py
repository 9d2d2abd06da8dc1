"""Memory of a process tree, and energy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from welltuned.experiments.comparison.worker import resource_meter
from welltuned.experiments.comparison.worker.resource_meter import EnergyMeter, tree_memory

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


def zone(folder: Path, name: str, joules: float) -> Path:
    path = folder / name
    path.mkdir()
    (path / "energy_uj").write_text(str(int(joules * 1e6)))
    (path / "max_energy_range_uj").write_text("1000000000")
    return path


@pytest.fixture
def rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(resource_meter, "_RAPL", tmp_path)
    monkeypatch.setattr(resource_meter, "_read_gpus", list)
    return tmp_path


def test_packages_add_up_and_their_parts_are_not_counted_twice(rapl: Path) -> None:
    first, second = zone(rapl, "intel-rapl:0", 100), zone(rapl, "intel-rapl:1", 990)
    part = zone(rapl, "intel-rapl:0:0", 50)
    meter = EnergyMeter()
    (first / "energy_uj").write_text("103000000")
    (part / "energy_uj").write_text("52000000")
    assert meter.joules() == pytest.approx(3)
    (second / "energy_uj").write_text("5000000")  # the counter has begun again at 1000 J
    assert meter.joules() == pytest.approx(3 + 15)


def test_a_machine_that_does_not_tell_gives_none(rapl: Path) -> None:
    assert EnergyMeter().joules() is None


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_counter_that_may_not_be_read_is_none(rapl: Path) -> None:
    (zone(rapl, "intel-rapl:0", 1) / "energy_uj").chmod(0)
    assert EnergyMeter().joules() is None
