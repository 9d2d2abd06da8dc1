"""A disk without room, or without permission, ends in a fault with numbers and no half files."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from faults import fails, refused
from filling import no_file_beyond
from welltuned.runs import Run
from welltuned.runs.checkpoints import newest_checkpoint, save_checkpoint
from welltuned.runs.disk import fault_of_full_disk, make_folder, require_free, writing


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run.create(tmp_path / "run")
    run.set_status("running", 3)
    return run


def test_a_file_that_does_not_fit_says_what_it_needs_and_what_is_free(run: Run) -> None:
    run.write("results.json", {"small": 1})
    with no_file_beyond(1000), fails("run.disk_full", name="results.json") as caught:
        run.write("results.json", {"large": "x" * 5000})
    fault = caught.value.faults[0]
    assert str(fault.place) == str(run.folder)
    assert "5.0 kB" in fault.what and fault.values["free"] in fault.what
    assert "output_dir" in fault.remedy and len(str(fault).splitlines()) == 1
    assert run.read("results.json") == {"small": 1}, "the old file is whole"
    assert [path.name for path in run.folder.glob(".*")] == [], "no half of the new one is left"


def test_a_line_that_does_not_fit_says_so_and_those_before_are_read(run: Run) -> None:
    run.append("metrics.jsonl", {"step": 1})
    with no_file_beyond(100), fails("run.disk_full", name="metrics.jsonl"):
        run.append("metrics.jsonl", {"step": 2, "text": "x" * 500})
    assert list(run.read_lines("metrics.jsonl")) == [{"step": 1}]


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    before = save_checkpoint(tmp_path, 1, {"w": torch.ones(4)}, {})
    with no_file_beyond(2000), fails("run.disk_full", name="step-2", needed="40.0 kB"):
        save_checkpoint(tmp_path, 2, {"w": torch.ones(10_000)}, {})
    assert newest_checkpoint(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_a_run_says_that_it_failed_though_no_new_file_fits(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    run.set_status("running", 3, error="a long line that was there before " * 9)
    monkeypatch.setattr(Path, "replace", full)
    run.set_status("failed", 4, "no room")
    assert run.status == {"state": "failed", "step": 4, "error": "no room"}


@pytest.mark.parametrize(
    ("error", "is_full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (RuntimeError("Error while serializing: I/O error: no space (os error 28)"), True),
        (OSError(errno.ENOENT, "No such file"), False),
        (ValueError("28"), False),
    ],
)
def test_every_librarys_way_to_say_so_is_known(error: Exception, is_full: bool) -> None:
    assert (fault_of_full_disk(error, Path("runs/mine")) is not None) == is_full


def test_other_errors_pass_and_the_half_goes_all_the_same(tmp_path: Path) -> None:
    half = tmp_path / "half"
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "whole", 1, half):
        half.write_text("begun")
        _ = 1 / 0
    assert not half.exists()


def test_what_may_not_be_written_is_no_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with fails("run.not_writable", name="results.json"):
        run.write("results.json", {})


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for folder in (tmp_path / "file", tmp_path / "file" / "below" / "it"):
        with refused("run.folder_not_made", place=str(folder)):
            make_folder(folder)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with refused("run.folder_not_writable", place=str(tmp_path)):
        make_folder(tmp_path / "new")


def test_what_is_empty_or_absent_is_free(tmp_path: Path) -> None:
    require_free(tmp_path)
    require_free(tmp_path / "none")
