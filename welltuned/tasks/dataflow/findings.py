"""Findings: what a person should know of sources that are read with their data flow."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from welltuned.data.dataflow import graph_of
from welltuned.data.facts import some_lines
from welltuned.data.records import Records
from welltuned.schema.messages import Message, message
from welltuned.tasks.dataflow.column import languages_of
from welltuned.tasks.dataflow.config import Dataflow
from welltuned.tasks.dataflow.examples import GraphExamples
from welltuned.tasks.dataflow.graphs import BROKEN, CUT, EMPTY, TANGLED, UNREAD

_TRIED, _FEW, _MANY = 20, 4, 60
"""Records that are tried for a picture; and how many nodes make a good one."""


def graph_picture(records: Records, encoding: Dataflow) -> dict[str, JsonValue] | None:
    """The tokens and the graph of the first source that is neither too simple nor too large."""
    languages = languages_of(records, encoding)
    for text, language in list(zip(records["text"], languages, strict=True))[:_TRIED]:
        graph = graph_of(text, language)
        if _FEW <= len(graph.nodes) <= _MANY:
            return {
                "tokens": [*graph.tokens],
                "nodes": [*graph.nodes],
                "sources": [[*one] for one in graph.sources],
            }
    return None


def graph_notes(examples: GraphExamples, split: str) -> list[Message]:
    """One sentence for each thing that is true of some rows."""
    told = {BROKEN: _broken, EMPTY: _empty, TANGLED: _tangled, UNREAD: _unread, CUT: _cut}
    notes = []
    for note, say in told.items():
        rows = examples.graphs.rows_noted(note)
        if len(rows):
            lines = [examples.records.lines[examples.example_of(int(row))] for row in rows]
            values = {
                "split": split,
                "number": len(rows),
                "share": len(rows) / len(examples.encoded),
                "lines": some_lines(list(dict.fromkeys(lines))),
            }
            notes.append(say(values))
    return notes


def _broken(values: dict[str, Any]) -> Message:
    return message(
        "task.graph_broken",
        "{split}: sources with broken syntax, of which only parts have data flow: {number:,} "
        "({share:.1%}; line {lines}).",
        **values,
    )


def _empty(values: dict[str, Any]) -> Message:
    return message(
        "task.graph_empty",
        "{split}: sources without any data flow, read as tokens alone: {number:,} ({share:.1%}; "
        "line {lines}).",
        **values,
    )


def _tangled(values: dict[str, Any]) -> Message:
    return message(
        "task.graph_tangled",
        "{split}: sources nested too deeply for their data flow to be followed, read as tokens "
        "alone: {number:,} ({share:.1%}; line {lines}).",
        **values,
    )


def _unread(values: dict[str, Any]) -> Message:
    return message(
        "task.source_unread",
        "{split}: sources with signs that could not be read in the file's encoding: {number:,} "
        "({share:.1%}; line {lines}). data.encoding says which it is.",
        **values,
    )


def _cut(values: dict[str, Any]) -> Message:
    return message(
        "task.graph_cut",
        "{split}: sources that lose nodes of their data flow, with what was cut or beyond "
        "task.encoding.max_nodes: {number:,} ({share:.1%}; line {lines}).",
        **values,
    )
