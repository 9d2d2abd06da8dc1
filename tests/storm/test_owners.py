"""Of two processes that come to one folder at once, one has it, whatever the other does."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from storming import Storm, seeded
from welltuned.errors import InputError
from welltuned.runs import Run
from welltuned.runs.locks import Lock
from welltuned.runs.status import begun

GROUP = "two owners of one folder"
PAIRS = 10
"""In each pair of processes."""


def own_each(folders: list[Path], barrier: Any, won: Any, lock: bool) -> None:
    """Begin a run in each of these folders at the moment in which another process does."""
    patch = pytest.MonkeyPatch()  # undone by the end of this process
    if not lock:
        patch.setattr(Lock, "acquire", lambda lock, wait: True)
        patch.setattr(Lock, "sign", lambda lock, text: None)
        patch.setattr(Lock, "release", lambda lock: None)
        create = Run.create
        patch.setattr(Run, "create", lambda folder: (create(folder), barrier.wait())[0])
    for folder in folders:
        barrier.wait()
        tried = False
        try:
            with begun(folder):
                won.put(str(folder))
                barrier.wait()  # both have tried
                tried = True
        except (InputError, FileNotFoundError):
            if not tried:
                barrier.wait()


def owners(folders: list[Path], lock: bool = True) -> list[str]:
    """The folder of each process that came to own one."""
    context = multiprocessing.get_context("fork")
    barrier, won = context.Barrier(2, timeout=60), context.SimpleQueue()
    pair = [context.Process(target=own_each, args=(folders, barrier, won, lock)) for _ in range(2)]
    for process in pair:
        process.start()
    for process in pair:
        process.join(60)
    assert [process.exitcode for process in pair] == [0, 0]
    return [won.get() for _ in iter(won.empty, True)]


def require_one_owner(folders: list[Path], **how: Any) -> None:
    assert sorted(owners(folders, **how)) == sorted(map(str, folders)), "not one owner of each"


@seeded(1, 15)
def test_one_of_two(number: int, tmp_path: Path, storm: Storm) -> None:
    with storm.fault(PAIRS):
        require_one_owner([tmp_path / str(number) for number in range(PAIRS)])


def test_what_judges_notices_that_there_is_no_lock(tmp_path: Path, storm: Storm) -> None:
    with storm.control("not one owner of each"):
        require_one_owner([tmp_path / str(number) for number in range(PAIRS)], lock=False)


def test_what_judges_notices_that_both_are_refused(tmp_path: Path, storm: Storm) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with storm.control("not one owner of each"):
        require_one_owner([tmp_path])
