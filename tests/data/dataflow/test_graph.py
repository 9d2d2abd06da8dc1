"""Graphs of sources: those of GraphCodeBERT's pretraining, and what its code got wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from welltuned.data.dataflow import LANGUAGES, CodeGraph, LanguageName, graph_of

OFFICIAL = json.loads(Path(__file__).with_name("official_graphs.json").read_text(encoding="utf-8"))
"""Written outside by the authors' walkers, as codebleu 0.7.0 carries them (tokens that are blank
left out), from sources of our own."""


def named(graph: CodeGraph) -> dict[str, set[str]]:
    """By what a node says all that its values come from."""
    found: dict[str, set[str]] = {}
    for token, sources in zip(graph.nodes, graph.sources, strict=True):
        names = {graph.tokens[graph.nodes[one]] for one in sources}
        found.setdefault(graph.tokens[token], set()).update(names)
    return found


@pytest.mark.parametrize("told", OFFICIAL, ids=lambda told: told["language"])
def test_graphs_are_those_of_pretraining(told: dict[str, Any]) -> None:
    graph = graph_of(told["source"], told["language"])
    assert list(graph.tokens) == told["tokens"]
    assert list(graph.nodes) == told["nodes"]
    assert [list(one) for one in graph.sources] == told["sources"]
    assert not graph.broken and graph.num_edges > 10


FLOWS: dict[LanguageName, tuple[str, dict[str, set[str]]]] = {
    "go": (
        "package p\nfunc f(a int) { x := a + 1; for k, v := range x { a = v } }",
        {"x": {"a", "1"}, "k": {"x"}, "v": {"v", "x"}, "a": {"a", "v"}},
    ),
    "php": (
        "function f($a) { foreach ($a as $k => $v) { $x = $v; } }",
        {"k": {"a"}, "x": {"v"}},
    ),
    "c_sharp": (
        "int f(int a) { var x = a; foreach (var y in x) a = y; return a; }",
        {"x": {"a", "x"}, "y": {"x", "y"}, "a": {"a", "y"}},
    ),
    "c": (
        'int f(int a) { int x = a; char *p = "s"; if (a) x = 2; else *p = x; return x; }',
        {"x": {"a", "x", "2"}, "p": {'"s"', "x"}},
    ),
    "cpp": (
        "int f(V a) { int x = 0; for (auto y : a) x += y; return x; }",
        {"x": {"0", "y", "x"}, "y": {"a", "y"}},
    ),
    "python": ("for x in y:\n    z = x\nelse:\n    w = z\n", {"x": {"x", "y"}, "w": {"z"}}),
}


@pytest.mark.parametrize("language", FLOWS)
def test_values_come_from_where_they_should(language: LanguageName) -> None:
    source, expected = FLOWS[language]
    graph = graph_of(source, language)
    assert not graph.broken
    found = named(graph)
    for name, sources in expected.items():
        assert sources <= found[name], name


def test_what_is_not_ascii_stays_whole() -> None:
    graph = graph_of('größe = "日本語"; total = größe + größe', "python")
    assert graph.tokens == ("größe", "=", '"日本語"', ";", "total", "=", "größe", "+", "größe")
    assert named(graph)["total"] == {"größe"} and named(graph)["größe"] == {'"日本語"', "größe"}


def test_comments_and_docstrings_are_no_tokens() -> None:
    graph = graph_of('def f(a):\n    """Says a."""\n    # and back\n    return a\n', "python")
    assert graph.tokens == ("def", "f", "(", "a", ")", ":", "return", "a")
    graph = graph_of("int a = 1; // one\n/* two */ int b = a;", "java")
    assert "".join(graph.tokens) == "inta=1;intb=a;"


def test_a_broken_source_keeps_its_tokens_and_what_flows_in_its_parts() -> None:
    graph = graph_of("int f(int a) { int b = a; return (b; }}", "java")
    assert graph.broken and {"b", "a"} <= set(graph.tokens) and named(graph)["b"] >= {"a"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_at_all_is_a_graph_without_nodes(language: LanguageName) -> None:
    graph = graph_of(" \n", language)
    assert not graph.nodes and not graph.sources and not graph.tangled


def test_what_is_nested_too_deeply_is_told_and_not_followed() -> None:
    deep = graph_of("x = " + "(" * 3000 + "1" + ")" * 3000, "python")
    assert deep.tangled and not deep.nodes and len(deep.tokens) == 6003


def test_php_needs_no_marks() -> None:
    plain, marked = "$a = 1; $b = $a;", "<?php $a = 1; $b = $a; ?>"
    assert graph_of(plain, "php") == graph_of(marked, "php")


def test_half_a_character_does_no_harm() -> None:
    assert graph_of("int a = '\ud800';", "java").tokens
