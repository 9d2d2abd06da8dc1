"""A disk that is full ends a run with numbers, and harms nothing that was written before."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forking import Forks
from resuming import differing, left_by
from storming import Storm, Whole, saved, seeded
from suffering import fill_a_disk
from welltuned.config import run_config_from
from welltuned.engines.events import Step
from welltuned.errors import RunFailed
from welltuned.runs import Run
from welltuned.training.observer import Observer
from welltuned.training.train import resume_training, run_training

GROUP = "a full disk"


class Filling(Observer):
    """After so many steps no file may grow beyond a size."""

    def __init__(self, step: int, size: int) -> None:
        self._step, self._size = step, size

    def stepped(self, step: Step) -> None:
        if step.step == self._step:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, hard))


@pytest.fixture
def freed() -> Iterator[Callable[[], None]]:
    """Takes the limit away again."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    yield free
    free()


def require_nothing_lost(run: Run, before: int, told: RunFailed) -> None:
    fault = told.faults[0]
    assert fault.code == "run.disk_full" and fault.values["free"] and fault.values["needed"]
    assert saved(run) >= before, "an earlier snapshot is gone"
    assert not list(run.folder.rglob(".*.new")), "half of something is left"


@seeded(2, 20)
def test_files_may_not_grow(
    number: int, asked: Any, unharmed: Any, tmp_path: Path, storm: Storm, freed: Any
) -> None:
    step, size = storm.draw.randint(1, 8), storm.draw.randint(0, 60_000)
    values = asked(tmp_path / "run")
    with storm.fault():
        with pytest.raises(RunFailed) as caught:
            run_training(run_config_from(values), Filling(step, size))
        freed()
        run = Run(tmp_path / "run")
        require_nothing_lost(run, (step - 1) // 2 * 2, caught.value)
        assert not differing(left_by(resume_training(run.folder)), unharmed), "something differs"


@seeded(1, 10)
def test_a_small_disk_is_full(
    number: int, asked: Any, forks: Forks, whole: Whole, tmp_path: Path, storm: Storm
) -> None:
    """One of its own, where the system lets a process have one."""
    (tmp_path / "disk").mkdir()
    step, room = storm.draw.randint(1, 8), storm.draw.randint(0, 300_000)
    values = asked(tmp_path / "disk" / "run")
    worker = forks.begin(
        fill_a_disk, values=values, step=step, room=room, copy=str(tmp_path / "copy")
    )
    status, error = forks.end_of(worker)
    if status == 77:
        pytest.skip("no disk of one's own here")
    with storm.fault():
        assert status == 0, error
        assert not differing(left_by(Run(tmp_path / "copy")), whole[0]), "something differs"


def test_what_judges_notices_half_of_something(
    asked: Any, tmp_path: Path, storm: Storm, freed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("welltuned.runs.disk._remove", lambda half: None)
    with pytest.raises(RunFailed) as caught:
        run_training(run_config_from(asked(tmp_path / "run")), Filling(3, 30_000))
    freed()
    with storm.control("half of something is left"):
        require_nothing_lost(Run(tmp_path / "run"), 2, caught.value)
