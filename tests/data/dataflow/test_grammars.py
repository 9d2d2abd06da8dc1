"""Grammars: each as its table says, and a fault where one is absent or has drifted."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from welltuned.data.dataflow import LANGUAGES, grammars
from welltuned.data.dataflow.grammars import drift_of, grammar_faults, parser_of
from welltuned.data.dataflow.rules import RepeatedBlock


def test_every_table_names_what_its_grammar_has() -> None:
    assert not list(grammar_faults(LANGUAGES))


def test_drift_is_a_fault_and_not_an_empty_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    table = LANGUAGES["java"]
    drifted = replace(
        table, rules=(*table.rules, RepeatedBlock(kinds=("repeat_statement",), sides=("odd",)))
    )
    language = parser_of("java").language
    assert language is not None
    (fault,) = drift_of(drifted, language)
    assert fault.code == "data.grammar_differs" and "repeat_statement, odd" in fault.what
    monkeypatch.setattr(grammars, "LANGUAGES", {"java": drifted})
    parser_of.cache_clear()
    try:
        assert [one.code for one in grammar_faults(["java", "java"])] == [fault.code]
    finally:
        parser_of.cache_clear()


def test_what_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tree_sitter_java", None)
    parser_of.cache_clear()
    try:
        (fault,) = grammar_faults(["java"])
    finally:
        parser_of.cache_clear()
    assert fault.code == "data.grammar_missing" and "tree-sitter-java" in fault.what
    assert "pip install 'welltuned[code]'" in fault.remedy
