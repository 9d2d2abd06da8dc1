"""Cores by affinity and by a container's quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from welltuned.runs.usable_cores import usable_cores


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores, all at hand."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000\n", 2), ("150000 100000", 2), ("50000 100000", 1), ("max 100000\n", 8)],
)
def test_a_containers_quota_counts(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / "cpu.max").write_text(quota, encoding="ascii")
    assert usable_cores(cgroups) == cores


@pytest.mark.parametrize(("quota", "cores"), [("300000", 3), ("-1", 8), ("9900000", 8)])
def test_a_quota_of_the_first_version_counts(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / "cpu" / "cpu.cfs_quota_us").write_text(quota, encoding="ascii")
    (cgroups / "cpu" / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert usable_cores(cgroups) == cores


def test_without_a_quota_affinity_counts(cgroups: Path) -> None:
    assert usable_cores(cgroups) == 8
