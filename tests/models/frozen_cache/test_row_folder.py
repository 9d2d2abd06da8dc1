"""States on disk: found by other processes, and never taken for what they are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from welltuned.models.frozen_cache.row_folder import RowFolder

A, B, C = (bytes([i]) + bytes(15) for i in range(3))


def states(seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_one_process_writes_another_finds(tmp_path: Path, dtype: torch.dtype) -> None:
    one, other = RowFolder(tmp_path), RowFolder(tmp_path)
    one.keep("f", {A: states(1, dtype)})
    assert set(other.find("f", [A, B])) == {A}
    other.keep("f", {B: states(2, dtype), C: states(3, dtype)})
    for folder in (one, other, RowFolder(tmp_path)):
        found = folder.find("f", [A, B, C])
        assert [torch.equal(found[key], states(i, dtype)) for i, key in ((1, A), (2, B), (3, C))]
        assert all(row.dtype == dtype for row in found.values())
    assert not one.find("g", [A])


def test_a_flipped_byte_is_noticed(tmp_path: Path) -> None:
    RowFolder(tmp_path).keep("f", {A: states(1), B: states(2)})
    file = tmp_path / "f/rows.bin"
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)
    assert set(RowFolder(tmp_path).find("f", [A, B])) == {B}
    file.write_bytes(content[:-1])
    assert not RowFolder(tmp_path).find("f", [A, B])


def test_half_a_record_is_nobodys(tmp_path: Path) -> None:
    RowFolder(tmp_path).keep("f", {A: states(1)})
    with (tmp_path / "f/index.bin").open("ab") as file:
        file.write(b"half")
    assert set(RowFolder(tmp_path).find("f", [A])) == {A}
    RowFolder(tmp_path).keep("f", {B: states(2)})
    assert set(RowFolder(tmp_path).find("f", [A, B])) == {A, B}


def test_a_damaged_row_is_written_anew(tmp_path: Path) -> None:
    folder = RowFolder(tmp_path)
    folder.keep("f", {A: states(1)})
    (tmp_path / "f/rows.bin").write_bytes(bytes(60))
    assert not folder.find("f", [A])
    folder.keep("f", {A: states(1)})
    for each in (folder, RowFolder(tmp_path)):
        assert torch.equal(each.find("f", [A])[A], states(1))


def test_what_two_processes_compute_at_once_is_written_once(tmp_path: Path) -> None:
    one, other = RowFolder(tmp_path), RowFolder(tmp_path)
    assert not one.find("f", [A]) and not other.find("f", [A])
    one.keep("f", {A: states(1)})
    other.keep("f", {A: states(1), B: states(2)})
    assert (tmp_path / "f/rows.bin").stat().st_size == 2 * 60
    assert set(one.find("f", [A, B])) == {A, B}


def test_what_was_used_longest_ago_makes_room_and_what_is_too_large_is_not_written(
    tmp_path: Path,
) -> None:
    folder = RowFolder(tmp_path, limit=130)  # a row has 60 bytes
    for name in ("e", "f"):
        folder.keep(name, {A: states(1)})
    assert RowFolder(tmp_path).find("e", [A])  # another process has a use for it
    folder.keep("g", {A: states(1)})
    left = {name for name in "efg" if RowFolder(tmp_path).find(name, [A])}
    assert left == {"e", "g"}
    folder.keep("h", {key: states(1) for key in (A, B, C)})
    assert not RowFolder(tmp_path).find("h", [A])


def test_a_folder_that_was_deleted_says_so_or_begins_anew(tmp_path: Path) -> None:
    folder = RowFolder(tmp_path / "deep")
    folder.keep("f", {A: states(1)})
    assert folder.find("f", [A])
    shutil.rmtree(tmp_path / "deep")
    with pytest.raises(OSError):
        folder.find("f", [A])
    folder.keep("f", {B: states(2)})
    assert torch.equal(RowFolder(tmp_path / "deep").find("f", [B])[B], states(2))


def test_what_others_have_deleted_and_begun_anew_is_read_from_its_start(tmp_path: Path) -> None:
    folder = RowFolder(tmp_path)
    folder.keep("f", {A: states(1), B: states(2)})
    assert folder.find("f", [A])
    old = (tmp_path / "f/index.bin").rename(tmp_path / "held")  # its number is not given again
    shutil.rmtree(tmp_path / "f")
    RowFolder(tmp_path).keep("f", {C: states(3), A: states(1)})
    found = folder.find("f", [A, B, C])
    assert set(found) == {A, C} and torch.equal(found[C], states(3)) and old.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a Linux device")
def test_a_full_disk_says_so_and_leaves_no_record(tmp_path: Path) -> None:
    folder = RowFolder(tmp_path)
    (tmp_path / "f").mkdir()
    (tmp_path / "f/rows.bin").symlink_to("/dev/full")
    with pytest.raises(OSError):
        folder.keep("f", {A: states(1)})
    assert not RowFolder(tmp_path).find("f", [A])
