"""Rows of tokens: a few at a time where nothing is learned, and back in order."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from welltuned.tasks import rows


@pytest.mark.parametrize("learning", [True, False])
def test_without_gradients_rows_are_read_a_few_at_a_time(learning: bool, monkeypatch: Any) -> None:
    """Sorted, with no more padding than they need, and put back in order."""
    monkeypatch.setattr(rows, "_AT_ONCE", 2)
    seen: list[tuple[int, ...]] = []

    def compute(some: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(tuple(some["input_ids"].shape))
        return (some["input_ids"] * some["attention_mask"]).sum(1)

    mask = torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 0]])
    batch = {"input_ids": torch.tensor([[5, 9, 9], [1, 2, 3], [4, 4, 9]]), "attention_mask": mask}
    with torch.set_grad_enabled(learning):
        assert rows.read_rows(compute, batch).tolist() == [5, 6, 8]
    assert seen == ([(3, 3)] if learning else [(2, 3), (1, 1)])


@pytest.mark.parametrize("learning", [True, False])
def test_tokens_are_read_a_few_rows_at_a_time_as_wide_as_they_are(
    learning: bool, monkeypatch: Any
) -> None:
    monkeypatch.setattr(rows, "_AT_ONCE", 2)
    seen: list[int] = []

    def compute(some: dict[str, torch.Tensor]) -> torch.Tensor:
        seen.append(len(some["input_ids"]))
        return some["input_ids"] * some["attention_mask"]

    batch = {"input_ids": torch.arange(6).view(3, 2), "attention_mask": torch.ones(3, 2).long()}
    with torch.set_grad_enabled(learning):
        assert rows.read_tokens(compute, batch).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert seen == ([3] if learning else [2, 1])


def test_means_are_of_the_rows_that_are_there() -> None:
    table = torch.tensor([[0, 1], [2, -1]])
    values = torch.tensor([[1.0], [3.0], [5.0]])
    assert rows.mean_of_rows(values, table).tolist() == [[2], [5]]
