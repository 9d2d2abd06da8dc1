"""How much memory a process holds and held."""

from __future__ import annotations

import sys

import pytest

from welltuned.runs import process_memory

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can forget a peak")
SIZE = 80 * 2**20


@linux
def test_a_peak_is_forgotten() -> None:
    block = bytearray(b"x" * SIZE)
    with_block = process_memory.peak()
    del block
    # Linux counts pages per processor and adds them up late: two readings may differ a little.
    assert process_memory.peak() > with_block - SIZE // 2
    if not process_memory.forget_peak():
        pytest.skip("this system does not let a peak be forgotten")
    assert process_memory.peak() < with_block - SIZE // 2


@linux
def test_what_is_held_grows_with_what_is_made() -> None:
    before = process_memory.held()
    block = bytearray(b"x" * SIZE)
    assert process_memory.held() - before > SIZE // 2
    assert process_memory.peak() >= process_memory.held() - SIZE // 10
    assert len(block) == SIZE


def test_what_is_left_is_told_or_unknown() -> None:
    left = process_memory.left_on("cpu")
    assert left is None or left > 0
