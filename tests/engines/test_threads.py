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
    before = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(before)


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


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with threads.restored_threads() as told:
        torch.set_num_threads(before + 1)
    assert told == before == torch.get_num_threads()
