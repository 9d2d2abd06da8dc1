"""Prompts with one row a response: batches, lengths and choices of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from welltuned.data.layouts.preferences import PreferencePair
from welltuned.data.records import Records
from welltuned.data.tokens.encoding import Encoded
from welltuned.data.tokens.windows import NO_ROW
from welltuned.tasks.grouped import Grouped, ResponseTarget, collate

ROWS = [[2, 9, 3], [2, 9, 8, 3], [2, 7, 3], [2, 7, 7, 7, 3], [2, 6, 3], [2, 5, 3], [2, 5, 4, 3]]


def target(number: int, *pairs: tuple[int, int], **known: Any) -> ResponseTarget:
    judged = tuple(PreferencePair(*one, 0.5 * i, 1.0 + i, 1) for i, one in enumerate(pairs))
    return ResponseTarget(np.arange(number), judged, **known)


def grouped() -> Grouped:
    targets = np.empty(3, dtype=object)
    targets[:] = [target(2, (1, 0)), target(3, (2, 0), (1, 0)), target(2, (0, 1), score=4.0)]
    cut = [False, True, False, False, False, False, False]
    records = Records("a.jsonl", {"prompt": ["a", "b", "c"]}, [1, 2, 3], ("prompt",))
    return Grouped(Encoded.of(ROWS, cut), targets, records, np.array([0, 2, 5, 7]))


def test_a_batch_says_which_rows_belong_together() -> None:
    batch = collate(grouped(), [2, 1], 0)
    assert batch["input_ids"].shape == (5, 5)
    assert batch["grid"].tolist() == [[0, 1, NO_ROW], [2, 3, 4]]
    assert batch["pairs"].tolist() == [[0, 1], [4, 2], [3, 2]]
    assert batch["margins"].tolist() == [0, 0, 0.5] and batch["weights"].tolist() == [1, 1, 2]
    assert batch["scores"][0] == 4 and np.isnan(batch["scores"][1])
    assert batch["input_ids"][3].tolist() == ROWS[3]
    assert batch["attention_mask"].sum(1).tolist() == [len(ROWS[i]) for i in (5, 6, 2, 3, 4)]
    assert {name: str(array.dtype) for name, array in batch.items()} == {
        "attention_mask": "int64",
        "input_ids": "int64",
        "grid": "int64",
        "pairs": "int64",
        "margins": "float32",
        "weights": "float32",
        "scores": "float32",
    }


def test_without_judgements_a_batch_has_no_pairs() -> None:
    batch = collate(replace(grouped(), targets=None), [0], 0)
    assert "pairs" not in batch and batch["grid"].tolist() == [[0, 1, NO_ROW]]


def test_ratings_alone_are_a_batch_without_pairs() -> None:
    targets = np.empty(3, dtype=object)
    targets[:] = [target(n, score=float(n)) for n in (2, 3, 2)]
    batch = collate(replace(grouped(), targets=targets), [1, 0], 0)
    assert batch["pairs"].shape == (0, 2) and batch["scores"].tolist() == [3, 2]


def test_an_example_is_as_long_as_its_longest_row() -> None:
    examples = grouped()
    assert examples.lengths.tolist() == [4, 5, 4] and examples.sizes.tolist() == [2, 3, 2]
    assert examples.width == 3
    assert examples.rows_of([1, 0]) == [2, 3, 4, 0, 1]


def test_an_example_is_cut_where_a_row_is() -> None:
    assert grouped().cut.tolist() == [True, False, False]


def test_examples_can_be_taken() -> None:
    part = grouped().take([2, 1])
    assert part.starts.tolist() == [0, 2, 5] and part.records.lines == [3, 2]
    assert part.encoded[0].tolist() == ROWS[5]
    assert part.targets is not None and len(part.targets[1].pairs) == 2


def test_what_the_untuned_model_says_stands_beside_the_rows() -> None:
    targets = np.empty(3, dtype=object)
    known = np.array([0.5, -1.0])
    targets[:] = [target(2), target(3), target(2, reference_K=known)]
    said = replace(grouped(), targets=targets).references_M
    assert said[5:].tolist() == [0.5, -1.0] and np.isnan(said[:5]).all()
