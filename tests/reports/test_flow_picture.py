"""The picture of data flow: every token, and a curve for every edge."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from welltuned.reports.flow_picture import flow_picture, laid_out

GRAPH: dict[str, Any] = {
    "tokens": ["int", "b", "=", "a", "<", '"<&>"', ";"],
    "nodes": [1, 3, 5],
    "sources": [[1, 2], [], []],
}


def test_tokens_are_words_and_edges_are_curves() -> None:
    picture = ElementTree.fromstring(flow_picture(GRAPH, "flow"))
    assert [word.text for word in picture.iter("text")] == GRAPH["tokens"]
    assert len(list(picture.iter("path"))) == 2
    coloured = [word.text for word in picture.iter("text") if "first" in word.attrib["fill"]]
    assert coloured == ["b", "a", '"<&>"']


def test_lines_end_where_they_are_full() -> None:
    spots = list(laid_out(["x" * 60, "y" * 40, "z" * 200, "w"]))
    assert [spot.line for spot in spots] == [0, 1, 2, 3]
    assert spots[1].first == 0 and spots[1].last == 40


def test_nothing_is_a_picture_too() -> None:
    assert "<svg" in flow_picture({"tokens": [], "nodes": [], "sources": []}, "flow")
