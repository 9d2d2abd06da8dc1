"""Graphs of many rows: masks, and what stays of them when rows are taken and joined."""

from __future__ import annotations

import numpy as np

from welltuned.tasks.dataflow.graphs import BROKEN, CUT, NOTES, Graphs, RowGraph


def row(
    *spans: tuple[int, int], sources: tuple[tuple[int, ...], ...] = (), notes: tuple[str, ...] = ()
) -> RowGraph:
    spans_N2 = np.array(spans, dtype=np.int32).reshape(-1, 2)
    return RowGraph(
        spans_N2, sources or ((),) * len(spans), (0, 3), len(spans) + 1, frozenset(notes)
    )


GRAPHS = Graphs.of(
    [
        row((1, 2), (1, 3), sources=((), (0, 1))),
        row(notes=(BROKEN,)),
        row((2, 3), sources=((),), notes=(BROKEN, CUT)),
    ]
)


def test_who_attends_to_whom() -> None:
    """Four tokens, of which the outer two are special; two nodes; padding."""
    picture = ["111111.", "111111.", "1111.1.", "111111.", ".1.....", ".11.11.", "......1"]
    expected = np.array([[sign == "1" for sign in line] for line in picture])
    assert (GRAPHS.mask(0, 4, 7) == expected).all()


def test_a_row_without_nodes_is_tokens_alone() -> None:
    mask = GRAPHS.mask(1, 4, 5)
    assert mask[:4, :4].all() and not mask[:4, 4].any() and mask[4].tolist() == [False] * 4 + [True]


def test_rows_are_taken_in_any_order() -> None:
    taken = GRAPHS.take([2, 0, 0])
    assert taken.counts.tolist() == [1, 2, 2]
    assert (taken.mask(1, 4, 7) == GRAPHS.mask(0, 4, 7)).all()
    assert (taken.mask(2, 4, 7) == GRAPHS.mask(0, 4, 7)).all()
    assert taken.rows_noted(CUT).tolist() == [0]


def test_joined_graphs_stay_what_they_were() -> None:
    both = GRAPHS.take([1, 2]).join(GRAPHS.take([0]))
    assert both.counts.tolist() == [0, 1, 2]
    assert (both.mask(2, 4, 7) == GRAPHS.mask(0, 4, 7)).all()
    assert both.sources_of(2) == [[], [0, 1]]


def test_everything_is_counted() -> None:
    counted = GRAPHS.counted
    assert (counted["nodes"], counted["edges"], counted["nodes_cut"]) == (3, 2, 3)
    assert {counted[f"rows_{note}"] for note in NOTES} == {0, 1, 2}
    assert counted["rows_broken"] == 2
