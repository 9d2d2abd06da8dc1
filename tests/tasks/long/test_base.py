"""Rows put together again: only where a batch says that texts have several."""

from __future__ import annotations

import pytest
import torch

from welltuned.data.tokens.windows import WINDOWS
from welltuned.tasks.long import HeadTail, LongTexts, Truncate, Windows

IDS = torch.tensor([[1, 2], [3, 4], [5, 6]])


def read(rows: dict[str, torch.Tensor]) -> torch.Tensor:
    assert set(rows) == {"input_ids", "attention_mask"}
    return rows["input_ids"].float()


def batch_of(**more: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), **more}


@pytest.mark.parametrize("long", [Truncate(), HeadTail(), Windows()])
def test_texts_of_one_row_each_are_what_the_head_says(long: LongTexts) -> None:
    assert long.outputs(read, batch_of(), 2).tolist() == [[1, 2], [3, 4], [5, 6]]


def test_texts_of_several_rows_are_pooled() -> None:
    table = torch.tensor([[0, 2], [1, -1]])
    found = Windows(pooling="mean").outputs(read, batch_of(**{WINDOWS: table}), 2)
    assert found.tolist() == [[3, 4], [3, 4]]
    attending = Windows(pooling="attention").outputs(read, batch_of(), 1)
    assert attending.tolist() == [[1], [3], [5]], "the weight is no output of its own"
