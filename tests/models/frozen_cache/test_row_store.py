"""What is kept stays within its limit; what is oldest makes room."""

from __future__ import annotations

from pathlib import Path

import torch

from welltuned.models.frozen_cache.row_folder import RowFolder
from welltuned.models.frozen_cache.row_store import RowStore


def rows(*names: bytes) -> dict[bytes, torch.Tensor]:
    return {name: torch.ones(5, 2) for name in names}  # 40 bytes each


def test_states_are_kept_by_what_computed_them() -> None:
    store = RowStore(200)
    store.keep("one", rows(b"a"))
    assert set(store.rows("one")) == {b"a"} and not store.rows("other")
    assert store.held == 40


def test_the_frozen_part_that_was_asked_for_longest_ago_goes_first() -> None:
    store = RowStore(100)
    store.keep("one", rows(b"a"))
    store.keep("two", rows(b"a"))
    store.rows("one")
    store.keep("three", rows(b"a"))
    assert store.rows("one") and not store.rows("two")


def test_what_has_no_room_is_not_kept() -> None:
    store = RowStore(100)
    store.keep("one", rows(b"a", b"b", b"c"))
    assert store.held == 0
    store.keep("one", rows(b"a", b"b"))
    store.keep("one", rows(b"c"))
    assert set(store.rows("one")) == {b"a", b"b"}


def test_a_limit_that_nobody_gave_follows_from_free_memory() -> None:
    assert RowStore().limit > 0


def test_everything_can_be_let_go() -> None:
    store = RowStore(100)
    store.keep("one", rows(b"a"))
    store.clear()
    assert store.held == 0 and not store.rows("one")


def test_what_is_in_no_memory_is_found_in_the_folder(tmp_path: Path) -> None:
    folder = RowFolder(tmp_path)
    store = RowStore(0, lambda: folder)
    store.keep("one", rows(bytes(16)))
    assert store.held == 0
    found = store.find("one", [bytes(16), b"x" * 16])
    assert set(found) == {bytes(16)} and torch.equal(found[bytes(16)], torch.ones(5, 2))
    store.leave_folder()
    assert not store.find("one", [bytes(16)])


def test_memory_is_filled_to_its_limit_and_the_rest_is_read_from_the_folder(
    tmp_path: Path,
) -> None:
    """However many rows there are, and each time they are read."""
    folder = RowFolder(tmp_path)
    store = RowStore(100, lambda: folder)
    names = [bytes([i]) * 16 for i in range(50)]
    for i, name in enumerate(names):
        store.keep("one", {name: torch.full((5, 2), float(i))})
    for _ in range(2):
        found = [store.find("one", [name])[name] for name in names]
        assert [float(row[0, 0]) for row in found] == list(range(50))
        assert len(store.rows("one")) == 2 and store.held == 80
