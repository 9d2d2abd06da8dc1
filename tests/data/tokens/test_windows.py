"""Windows of long texts: every token is in one, words lie near a middle, and rows are found."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from welltuned.data.tokens.windows import (
    FIXED,
    NO_ROW,
    WindowIndex,
    cut_windows,
    ends,
    is_short_of,
    owners,
    window_table_of,
)

CASES = list(itertools.product((1, 7, 30, 31, 200), (0, 1, 9, 60), (8, 17), (None, 1, 4, 100)))


def row(first: int, second: int = 0) -> np.ndarray:
    """`[CLS] first [SEP] second [SEP]`, by what each token belongs to."""
    parts = [FIXED, *[0] * first, FIXED]
    return np.array(parts + ([*[1] * second, FIXED] if second else []))


@pytest.mark.parametrize(("first", "second", "length", "stride"), CASES)
def test_windows_hold_all_of_the_longer_text_and_fit(
    first: int, second: int, length: int, stride: int | None
) -> None:
    parts = row(first, second)
    rows = cut_windows(parts, length, stride, head=0.25)
    assert all(len(places) <= length and (np.diff(places) > 0).all() for places in rows)
    if len(rows) > 1:
        assert all(len(places) == length for places in rows)
    fixed = set(np.flatnonzero(parts == FIXED))
    assert all(fixed <= set(places) for places in rows)
    moving = int((parts == 1).sum() > (parts == 0).sum())
    seen = set(np.concatenate(rows))
    assert set(np.flatnonzero(parts == moving)) <= seen, "no gap, whatever the stride"
    beside = [set(places[parts[places] == 1 - moving]) for places in rows]
    assert all(one == beside[0] for one in beside), "the shorter text is part of every window"
    assert is_short_of(rows, len(parts)) == (len(seen) < len(parts))


def test_windows_begin_a_stride_apart_and_the_last_ends_with_the_text() -> None:
    rows = cut_windows(row(20), 10, 5, head=0.25)
    inner = [(places[1], places[-2]) for places in rows]
    assert inner == [(1, 8), (6, 13), (11, 18), (13, 20)]
    assert [list(places) for places in cut_windows(row(8), 10, 5, 0.25)] == [list(range(10))]
    assert len(cut_windows(row(16), 10, 8, 0.25)) == 2, "no third one where two hold all"
    assert [places[1] for places in cut_windows(row(20), 10, None, 0.25)] == [1, 7, 13]


def test_both_ends_of_each_text_are_read_and_the_longer_one_is_cut_first() -> None:
    assert ends(row(20), 10, 0.25).tolist() == [0, 1, 2, 15, 16, 17, 18, 19, 20, 21]
    assert ends(row(20), 10, 1.0).tolist() == [*range(9), 21]
    assert ends(row(5), 10, 0.25).tolist() == list(range(7))
    both = row(20, 3)[ends(row(20, 3), 14, 0.25)]
    assert [(both == part).sum() for part in (FIXED, 0, 1)] == [3, 8, 3]
    even = row(20, 30)[ends(row(20, 30), 13, 0.25)]
    assert [(even == part).sum() for part in (0, 1)] == [5, 5]


@pytest.mark.parametrize("stride", [1, 2, 3, 5, 8])
def test_each_token_is_read_where_its_nearer_side_is_furthest(stride: int) -> None:
    """By brute force: the text's own ends are no loss, for there is no more context."""
    parts = row(37)
    rows = cut_windows(parts, 10, stride, 0.25)
    owner_T = owners(rows, parts)
    for token in np.flatnonzero(parts == 0):
        contexts = []
        for places in rows:
            first, last = places[1], places[-2]
            left = np.inf if first == 1 else token - first
            right = np.inf if last == 37 else last - token
            contexts.append(min(left, right))
        assert contexts[owner_T[token]] == max(contexts) >= 0


def test_rows_are_found_taken_and_joined() -> None:
    index = WindowIndex(np.array([0, 3, 4, 9]))
    assert len(index) == 3 and index.sizes.tolist() == [3, 1, 5]
    assert index.rows_of([2, 0]).tolist() == [4, 5, 6, 7, 8, 0, 1, 2]
    assert index.take([2, 0]).starts.tolist() == [0, 5, 8]
    assert index.join(index.take([1])).starts.tolist() == [0, 3, 4, 9, 10]
    lengths = np.array([8, 8, 8, 3, 8, 8, 8, 8, 8])
    assert index.positions(lengths).tolist() == [24, 3, 40]
    assert index.any(np.arange(9) == 5).tolist() == [False, False, True]
    assert index.means(np.arange(9.0)[:, None]).tolist() == [[1], [3], [6]]


def test_a_step_draws_windows_anew_and_the_same_again() -> None:
    index = WindowIndex(np.array([0, 3, 103]), per_step=4)
    assert index.sizes.tolist() == [3, 100], "all, where nothing is learned"
    step = index.sampled(7, 1)
    assert step.sizes.tolist() == [3, 4] and step.rows_of([0]).tolist() == [0, 1, 2]
    drawn = step.rows_of([0, 1])
    assert len(set(drawn)) == 7 and (np.diff(drawn) > 0).all() and drawn[-1] < 103
    assert step.rows_of([1]).tolist() == index.sampled(7, 1).rows_of([1]).tolist()
    others = [index.sampled(7, 2), index.sampled(8, 1)]
    assert all(one.rows_of([1]).tolist() != step.rows_of([1]).tolist() for one in others)
    lengths = np.full(103, 8)
    assert step.positions(lengths).tolist() == [24, 32]
    assert WindowIndex(index.starts).sampled(7, 1).sizes.tolist() == [3, 100]


def test_a_step_may_keep_the_ends_of_a_text() -> None:
    index = WindowIndex(np.array([0, 3, 103]), per_step=4, keeps_ends=True)
    drawn = [index.sampled(7, step).rows_of([0, 1]).tolist() for step in range(50)]
    assert all(rows[:3] == [0, 1, 2] and (rows[3], rows[-1]) == (3, 102) for rows in drawn)
    assert all(len(rows) == 7 and rows == sorted(set(rows)) for rows in drawn)
    assert len({rows[4] for rows in drawn}) > 20


def test_a_table_tells_whose_rows_are_whose() -> None:
    assert window_table_of(np.array([2, 1])).tolist() == [[0, 1], [2, NO_ROW]]
