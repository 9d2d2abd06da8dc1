"""Examples with graphs: as long as tokens and nodes together, and padded so."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coding import make_byte_tokenizer
from welltuned.data.records import Records
from welltuned.data.storage.shared_file import load_stored, store
from welltuned.models.graph_attention import GRAPH
from welltuned.tasks.dataflow import Dataflow
from welltuned.tasks.dataflow.encoding import encode_code
from welltuned.tasks.dataflow.examples import GraphExamples

SOURCES = ["return;", "int b = a; return b;", "int c = a + a; c += a; return c;"]
PAD = 1


def examples() -> GraphExamples:
    records = Records("made", {"text": SOURCES}, [1, 2, 3], ("text",))
    read = encode_code(make_byte_tokenizer(), records, Dataflow(language="java"), 100)
    return GraphExamples(read[0], np.arange(3), records, read[1])


def test_lengths_count_tokens_and_nodes() -> None:
    held = examples()
    assert (held.lengths == held.encoded.lengths + held.graphs.counts).all()
    assert not held.follows_from_tokens and held.counted["rows_empty"] == 1


def test_a_batch_has_tokens_then_nodes_then_padding() -> None:
    held = examples()
    batch = held.padded([2, 0], PAD)
    width = int(held.lengths.max())
    assert batch["input_ids"].shape == (2, width) and batch[GRAPH].shape == (2, width, width)
    tokens = held.encoded.lengths[[2, 0]]
    assert batch["attention_mask"].sum(axis=1).tolist() == tokens.tolist()
    assert batch["input_ids"][1, tokens[1] :].tolist() == [PAD] * (width - tokens[1])
    assert batch[GRAPH].any(axis=2).all(), "attention to nothing is no number"


def test_taken_and_joined_they_are_the_same_batches() -> None:
    held = examples()
    again = held.take([2]).join(held.take([0, 1]))
    assert again.targets is not None and again.targets.tolist() == [2, 0, 1]
    for name, array in again.padded([0, 2], PAD).items():
        assert (array == held.padded([2, 1], PAD)[name]).all(), name


def test_processes_can_share_them(tmp_path: Path) -> None:
    held = examples()
    file = tmp_path / "examples.npz"
    store(held, file)
    back = load_stored(file)
    assert isinstance(back, GraphExamples)
    for name, array in back.padded([0, 1, 2], PAD).items():
        assert (array == held.padded([0, 1, 2], PAD)[name]).all(), name
