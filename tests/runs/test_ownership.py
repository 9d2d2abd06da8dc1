"""A folder has one owner, and an owner that dies leaves it free."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from faults import refused
from welltuned.errors import InputError
from welltuned.runs.ownership import LOCK, is_free, is_owned, owned


def test_one_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with owned(folder):
        assert is_owned(folder)
        with refused("run.owned_by_another", owner=str(os.getpid())), owned(folder):
            pass
        assert is_owned(folder)
    assert not is_owned(folder) and not list(folder.iterdir())
    with owned(folder):
        pass


def test_an_owner_that_failed_leaves_it_free(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), owned(tmp_path):
        raise ZeroDivisionError
    assert not is_owned(tmp_path)


def die_owning(folder: Path) -> None:
    with owned(folder):
        os._exit(9)


def test_an_owner_that_was_killed_leaves_it_free(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=die_owning, args=(tmp_path,))
    process.start()
    process.join(30)
    assert process.exitcode == 9 and (tmp_path / LOCK).exists()
    assert not is_owned(tmp_path)
    with owned(tmp_path):
        pass


def test_what_a_run_left_that_was_killed_at_once_leaves_the_folder_free(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    assert is_free(folder)
    folder.mkdir()
    for name in (LOCK, ".status.json.new"):
        (folder / name).touch()
        assert is_free(folder)
    (folder / ".hidden").touch()
    assert not is_free(folder) and not is_free(folder / LOCK)


def own_once(folder: Path, barrier: object, won: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    try:
        with owned(folder):
            barrier.wait()  # type: ignore[attr-defined]
            won.put(os.getpid())  # type: ignore[attr-defined]
    except InputError:
        barrier.wait()  # type: ignore[attr-defined]


def test_of_two_that_come_at_once_one_is_refused(tmp_path: Path) -> None:
    """Behind a barrier, twenty times."""
    context = multiprocessing.get_context("fork")
    for attempt in range(20):
        barrier, won = context.Barrier(2), context.Queue()
        arguments = (tmp_path / str(attempt), barrier, won)
        pair = [context.Process(target=own_once, args=arguments) for _ in range(2)]
        for process in pair:
            process.start()
        for process in pair:
            process.join(30)
        assert [process.exitcode for process in pair] == [0, 0]
        assert won.get(timeout=10) and won.empty()
