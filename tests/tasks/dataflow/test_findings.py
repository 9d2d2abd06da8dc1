"""What is told of sources: one sentence for each thing, with its lines."""

from __future__ import annotations

from coding import make_byte_tokenizer
from welltuned.data.records import Records
from welltuned.schema.messages import render_message
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.encoding import encode_code
from welltuned.tasks.dataflow.examples import GraphExamples
from welltuned.tasks.dataflow.findings import graph_notes


def told(*sources: str) -> list[str]:
    records = Records("made", {"text": [*sources]}, [*range(2, 2 + len(sources))], ("text",))
    read = encode_code(make_byte_tokenizer(), records, Dataflow(language="java"), 60)
    return [
        render_message(note)
        for note in graph_notes(GraphExamples(read[0], None, records, read[1]), "train")
    ]


def test_nothing_is_told_where_nothing_is_wrong() -> None:
    assert told("int b = a; return b;") == []


def test_each_thing_is_told_with_its_lines() -> None:
    said = told("int b = a;", "int f( {", "return;", "int b = a; " * 12)
    assert len(said) == 3
    assert said[0].startswith("train: sources with broken syntax") and "line 3" in said[0]
    assert "without any data flow" in said[1] and "line 3, 4" in said[1]
    assert "lose nodes" in said[2] and "1 (25.0%; line 5)" in said[2]
