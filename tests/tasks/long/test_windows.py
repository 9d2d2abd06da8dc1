"""Windows as a key of a config, and how what is said of them becomes one answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from welltuned.data.tokens.windows import NO_ROW
from welltuned.tasks import Classification, TokenClassification
from welltuned.tasks.long import (
    HeadTail,
    LongTexts,
    Truncate,
    Windows,
    long_texts_memory,
    recalled_long_texts,
)
from welltuned.tasks.long.windows import ATTENTION

TABLE = torch.tensor([[0, 1], [2, NO_ROW]])
ROWS = torch.tensor([[1.0, 4.0], [3.0, 0.0], [5.0, 6.0]])


def test_a_word_or_keys_say_how_long_texts_are_read() -> None:
    assert Classification().long == Truncate()
    assert Classification.model_validate({"long": "head_tail"}).long == HeadTail()
    assert Classification.model_validate({"long": {"length": 128}}).long == Windows(length=128)


@pytest.mark.parametrize("long", [Truncate(), HeadTail(), Windows(length=64, pooling="max")])
def test_an_artifact_remembers_what_is_not_so_by_itself(long: LongTexts) -> None:
    memory = long_texts_memory(long)
    assert recalled_long_texts(memory) == long and bool(memory) == (long != Truncate())


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"length": 128, "stride": 129}, "between two windows would not be read"),
        ({"length": 3}, "greater than or equal to 4"),
        ({"stride": 0}, "greater than or equal to 1"),
        ({"windows_per_step": 0}, "greater than or equal to 1"),
        ({"type": "slices"}, "'truncate', 'head_tail', 'windows'"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Classification.model_validate({"long": keys})


def test_words_are_not_pooled() -> None:
    assert TokenClassification.model_validate({"long": "windows"}).long.in_windows
    with pytest.raises(ValidationError, match="nothing is pooled"):
        TokenClassification.model_validate({"long": {"pooling": "attention"}})


def test_what_is_said_of_windows_is_pooled() -> None:
    assert Windows().pool(ROWS, TABLE).tolist() == [[2, 2], [5, 6]]
    assert Windows(pooling="max").pool(ROWS, TABLE).tolist() == [[3, 4], [5, 6]]
    attending = Windows(pooling="attention")
    assert attending.further_outputs == (ATTENTION,)
    found = attending.pool(ROWS, TABLE)
    share = 1 / (1 + np.exp(4.0))  # of the second window, whose weight is e⁰ beside e⁴
    assert found[:, 0].tolist() == pytest.approx([1 - share + 3 * share, 5])


def test_attention_over_a_linear_head_is_that_over_what_it_reads() -> None:
    """Pooling logits is pooling states: the head may stand behind either."""
    torch.manual_seed(0)
    states_RH, table = torch.randn(5, 8), torch.tensor([[0, 1, 2], [3, 4, NO_ROW]])
    head = torch.nn.Linear(8, 4)
    found = Windows(pooling="attention").pool(head(states_RH), table)
    for text, rows in enumerate(([0, 1, 2], [3, 4])):
        weights = head(states_RH[rows])[:, -1].softmax(0)
        expected = head(weights @ states_RH[rows])[:-1]
        torch.testing.assert_close(found[text], expected)


def test_rows_are_counted_as_windows_are_drawn() -> None:
    index = Windows(windows_per_step=3).index([2, 5])
    assert index.starts.tolist() == [0, 2, 7] and index.per_step == 3
    assert Truncate().index([1, 1]) is None
