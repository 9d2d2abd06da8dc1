"""Pairs whose texts are read separately: each a row of its own, and a head over both vectors.

The rows of a pair follow each other, the first text's first, so that a batch of B pairs is one of
2 B rows to which a model gives B answers. No token of one text attends to the other, which suits
clones and likeness, in rows of half the length; where words have to be compared it finds less.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from welltuned.data.records import Records
from welltuned.data.tokens.windows import WindowIndex
from welltuned.errors import Fault

Pairing = Literal["together", "separate"]
"""How the texts of a pair are read: as one row, or each as a row of its own."""


def single_texts(splits: Iterable[Records]) -> Iterator[Fault]:
    """Why there are no pairs to be read separately, if so."""
    for records in splits:
        if "text_pair" not in records:
            yield Fault(
                "task.separate_pairs_of_single_texts",
                "'task.pair: separate' reads pairs of texts, and there is one text only",
                records.place(0) if len(records) else None,
                "set data.columns.text_pair, or remove task.pair",
            )
            return


def each_text(records: Records) -> Records:
    """The texts of N pairs as 2 N records, in the order of their rows."""
    twice = np.repeat(np.arange(len(records)), 2).tolist()
    columns = {name: cells for name, cells in records.columns.items() if name != "text_pair"}
    texts = [
        text for pair in zip(records["text"], records["text_pair"], strict=True) for text in pair
    ]
    roles = tuple(role for role in records.input_roles if role != "text_pair")
    doubled = replace(records, columns=columns, input_roles=roles, keys=None).take(twice)
    return replace(doubled, columns={**doubled.columns, "text": texts})


def two_rows_each(pairs: int) -> WindowIndex:
    """Which rows are those of each pair."""
    return WindowIndex(np.arange(0, 2 * pairs + 1, 2))
