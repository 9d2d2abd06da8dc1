"""Sources as rows: pieces, what is cut, and where nodes stand."""

from __future__ import annotations

from typing import Any

import pytest

from coding import make_byte_tokenizer
from welltuned.data.dataflow import graph_of
from welltuned.data.records import Records
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.encoding import encode_code, shares
from welltuned.tasks.dataflow.graphs import BROKEN, CUT, EMPTY, TANGLED, UNREAD

JAVA = Dataflow(language="java")
SOURCE = "int sum = one;\n\n  // no matter\n  return sum + one;"


def encoded(*sources: str, encoding: Dataflow = JAVA, max_length: int = 100, **more: Any) -> Any:
    columns = {"text": [*sources], **more}
    roles = ("text", "text_pair") if "text_pair" in columns else ("text",)
    records = Records("made", columns, [*range(len(sources))], roles)
    return encode_code(make_byte_tokenizer(), records, encoding, max_length)


def said(ids: Any) -> str:
    return make_byte_tokenizer().decode(ids)


def test_white_space_and_comments_never_reach_the_model() -> None:
    read, _ = encoded(SOURCE)
    assert said(read[0]) == "<s>int sum = one ; return sum + one ;</s>"


def test_nodes_stand_for_all_pieces_of_their_token() -> None:
    read, graphs = encoded(SOURCE)
    graph = graph_of(SOURCE, "java")
    spans = [said(read[0][first:last]) for first, last in graphs.spans_M2]
    assert [span.strip() for span in spans] == [graph.tokens[node] for node in graph.nodes]
    assert graphs.sources_of(0) == [list(one) for one in graph.sources]


def test_special_tokens_in_a_source_stay_text() -> None:
    read, _ = encoded('String s = "</s>";')
    assert read[0].tolist().count(2) == 1


def test_two_sources_share_a_row_and_have_graphs_of_their_own() -> None:
    read, graphs = encoded(SOURCE, text_pair=["int b = a; return b;"])
    assert said(read[0]).endswith("one ;</s></s>int b = a ; return b ;</s>")
    (_, one), (_, other) = encoded(SOURCE), encoded("int b = a; return b;")
    number = len(one.spans_M2)
    assert graphs.counts.tolist() == [number + len(other.spans_M2)]
    shifted = [[node + number for node in row] for row in other.sources_of(0)]
    assert graphs.sources_of(0) == one.sources_of(0) + shifted
    start = int(graphs.spans_M2[number][0] - other.spans_M2[0][0])
    assert ((other.spans_M2 + start) == graphs.spans_M2[number:]).all()
    assert graphs.special_S.tolist() == [0, start - 1, start, len(read[0]) - 1]


def test_nodes_go_with_tokens_that_are_cut() -> None:
    whole, everything = encoded(SOURCE)
    read, graphs = encoded(SOURCE, max_length=20)
    assert len(read[0]) == 20 and read.truncated.tolist() == [True] and read[0][-1] == 2
    assert graphs.spans_M2.max() <= 19 and len(graphs.spans_M2) < len(everything.spans_M2)
    assert graphs.counted["nodes_cut"] == len(everything.spans_M2) - len(graphs.spans_M2)
    assert graphs.rows_noted(CUT).tolist() == [0] and not whole.truncated.any()


def test_so_many_nodes_and_no_more() -> None:
    _, graphs = encoded(SOURCE, encoding=Dataflow(language="java", max_nodes=2))
    assert graphs.counts.tolist() == [2]
    assert all(source < 2 for sources in graphs.sources_of(0) for source in sources)


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("int f( { return 1", BROKEN),
        ("return;", EMPTY),
        ("x = " + "(" * 1500 + "1" + ")" * 1500 + ";", TANGLED),
        ("int a = '\ufffd'; int b = a;", UNREAD),
    ],
)
def test_what_is_wrong_with_a_source_is_noted(source: str, note: str) -> None:
    _, graphs = encoded(source)
    assert graphs.rows_noted(note).tolist() == [0]


def test_each_row_is_read_in_its_own_language() -> None:
    column = Dataflow(language_column="lang")
    read, graphs = encoded(
        "b = a  # both", "int b = a;", encoding=column, code_language=["python", "c"]
    )
    assert said(read[0]) == "<s>b = a</s>" and said(read[1]) == "<s>int b = a ;</s>"
    assert graphs.counts.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        *(([3], 8, [3]), ([10], 4, [4]), ([2, 3], 9, [2, 3]), ([10, 2], 8, [6, 2])),
        *(([2, 10], 8, [2, 6]), ([10, 10], 9, [5, 4]), ([5, 0], 3, [3, 0])),
    ],
)
def test_the_longer_of_two_loses_first(lengths: list[int], room: int, kept: list[int]) -> None:
    assert shares(lengths, room) == kept
