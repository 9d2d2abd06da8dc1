"""Rows are known by their own tokens, whatever they are padded to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from welltuned.models.frozen_cache.token_rows import TokenRows


def batch(ids: list[list[int]], width: int, **tracks: list[list[int]]) -> dict[str, torch.Tensor]:
    def padded(rows: list[list[int]]) -> torch.Tensor:
        return torch.tensor([row + [0] * (width - len(row)) for row in rows])

    masks = [[1] * len(row) for row in ids]
    named = {"input_ids": ids, "attention_mask": masks, **tracks}
    return {name: padded(rows) for name, rows in named.items()}


def keys(given: dict[str, torch.Tensor]) -> list[bytes]:
    rows = TokenRows.of(given)
    assert rows is not None
    return rows.keys


def test_a_row_has_one_key_however_it_is_padded() -> None:
    first, second = keys(batch([[5, 6, 7], [5, 6]], 3))
    assert first != second
    assert keys(batch([[5, 6]], 9)) == [second]
    assert keys(batch([[5, 6, 0]], 3)) != [second]  # a real token that looks like padding


def test_types_and_positions_are_part_of_the_key() -> None:
    plain = keys(batch([[5, 6, 7]], 3))
    typed = [keys(batch([[5, 6, 7]], 3, token_type_ids=[types])) for types in ([0, 0, 1], [0] * 3)]
    placed = keys(batch([[5, 6, 7]], 3, position_ids=[[0, 1, 2]]))
    assert len({*plain, *typed[0], *typed[1], *placed}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_mask": torch.tensor([[0, 1, 1]])},  # padded on the left
        {"attention_mask": torch.tensor([[1, 0, 1]])},
        {"attention_mask": torch.tensor([[0, 0, 0]])},
        {"attention_mask": torch.ones(1, 1, 3, 3)},
        {"attention_mask": None, "position_ids": torch.tensor([[0, 1, 0]])},  # packed
        {"input_ids": None},
        {"position_ids": torch.arange(3)},
    ],
)
def test_rows_that_depend_on_more_than_their_tokens_are_left_alone(
    changes: dict[str, torch.Tensor | None],
) -> None:
    assert TokenRows.of({**batch([[5, 6, 7]], 3), **changes}) is None


def test_without_a_mask_every_token_is_real() -> None:
    rows = TokenRows.of({"input_ids": torch.tensor([[5, 6, 7]]), "attention_mask": None})
    assert rows is not None and rows.lengths_B.tolist() == [3]
    assert rows.batch(np.array([0]), torch.device("cpu"))["attention_mask"] is None


def test_a_batch_of_one_length_has_no_padding() -> None:
    rows = TokenRows.of(batch([[5, 6], [7, 8, 9], [3, 4]], 4))
    assert rows is not None and rows.by_length(range(3)) == {2: [0, 2], 3: [1]}
    made = rows.batch(np.array([0, 2, 0]), torch.device("cpu"))
    assert made["input_ids"] is not None and made["attention_mask"] is not None
    assert made["input_ids"].tolist() == [[5, 6], [3, 4], [5, 6]]
    assert made["attention_mask"].tolist() == [[1, 1]] * 3


def test_windows_are_rows_of_one_length_with_tokens_of_the_texts() -> None:
    rows = TokenRows.of(batch([[5, 6], [7, 8, 9]], 4))
    assert rows is not None
    tried = rows.windows(2, 3)
    assert tried.tracks["input_ids"].tolist() == [[5, 6], [7, 8], [9, 5]]
    assert rows.windows(9, 2).lengths_B.tolist() == [3, 3]
