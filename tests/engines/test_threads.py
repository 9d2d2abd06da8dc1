"""As many threads as a process may use cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from welltuned.engines import threads


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine of eight cores, all at hand."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    for name in threads._SAID:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cpu").mkdir()
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000\n", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000\n", 8)],
)
def test_a_containers_quota_counts(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / "cpu.max").write_text(quota, encoding="ascii")
    assert threads.usable_cores(cgroups) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3), ("-1", 8), ("9900000", 8)])
def test_a_quota_of_the_first_version_counts(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / "cpu" / "cpu.cfs_quota_us").write_text(quota, encoding="ascii")
    (cgroups / "cpu" / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert threads.usable_cores(cgroups) == cores


def test_without_a_quota_affinity_counts(cgroups: Path) -> None:
    assert threads.usable_cores(cgroups) == 8


def test_torch_gets_no_more_threads_than_cores(cgroups: Path) -> None:
    torch.set_num_threads(4)
    threads.keep_to_usable_cores(cgroups)
    assert torch.get_num_threads() == 4
    (cgroups / "cpu.max").write_text("300000 100000", encoding="ascii")
    threads.keep_to_usable_cores(cgroups)
    assert torch.get_num_threads() == 3


def test_what_the_environment_says_is_kept(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    (cgroups / "cpu.max").write_text("100000 100000", encoding="ascii")
    torch.set_num_threads(4)
    threads.keep_to_usable_cores(cgroups)
    assert torch.get_num_threads() == 4
