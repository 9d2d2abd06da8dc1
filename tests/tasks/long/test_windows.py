"""Windows as a key of a config, and how what is said of them becomes one answer."""

from __future__ import annotations

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
        ({"windows_per_step": 2, "pooling": "attention"}, "learns from the first window"),
        ({"type": "slices"}, "'truncate', 'head_tail', 'windows'"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Classification.model_validate({"long": keys})


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_words_are_not_pooled(pooling: str) -> None:
    assert TokenClassification.model_validate({"long": "windows"}).long.in_windows
    with pytest.raises(ValidationError, match="nothing is pooled"):
        TokenClassification.model_validate({"long": {"pooling": pooling}})


@pytest.mark.parametrize(
    ("per_step", "pooling"), [(None, "attention"), (3, "attention"), (2, "mean")]
)
def test_windows_are_pooled_by_attention_unless_too_few_are_drawn(
    per_step: int | None, pooling: str
) -> None:
    windows = Windows(windows_per_step=per_step)
    assert windows.to_dict()["pooling"] == windows.pools_by == pooling
    recalled = recalled_long_texts(long_texts_memory(windows))
    assert recalled == windows.model_copy(update={"pooling": pooling}), "whatever auto means then"
    assert windows.further_outputs == (ATTENTION if pooling == "attention" else ())


def test_what_is_said_of_windows_is_pooled() -> None:
    assert Windows(pooling="mean").pool(ROWS, TABLE).tolist() == [[2, 2], [5, 6]]
    assert Windows(pooling="max").pool(ROWS, TABLE).tolist() == [[3, 4], [5, 6]]


def test_attention_weighs_a_window_by_its_place() -> None:
    """Each of the first, the last and those between has a score of its own."""
    attending = Windows(pooling="attention")
    assert attending.further_outputs == ATTENTION and len(ATTENTION) == 3
    table = torch.tensor([[0, 1, 2, 3], [4, 5, NO_ROW, NO_ROW], [6, NO_ROW, NO_ROW, NO_ROW]])
    said_R1 = torch.arange(7.0).unsqueeze(1)
    first, last, between = torch.tensor([1.0, 9, 9]), torch.tensor([9, 3.0, 9]), 2.0
    inner = torch.tensor([9, 9, between])
    scores_R3 = torch.stack([first, inner, inner, last, first, last, first])
    found_B1 = attending.pool(torch.cat([said_R1, scores_R3], dim=1), table)
    four = torch.tensor([1.0, between, between, 3.0]).softmax(0) @ said_R1[:4, 0]
    two = torch.tensor([1.0, 3.0]).softmax(0) @ said_R1[4:6, 0]
    assert found_B1[:, 0].tolist() == pytest.approx([float(four), float(two), 6.0])


def test_attention_over_a_linear_head_is_that_over_what_it_reads() -> None:
    """Pooling logits is pooling states: the head may stand behind either."""
    torch.manual_seed(0)
    states_RH, table = torch.randn(5, 8), torch.tensor([[0, 1, 2], [3, 4, NO_ROW]])
    head = torch.nn.Linear(8, 6)
    found = Windows(pooling="attention").pool(head(states_RH), table)
    for text, (rows, kinds) in enumerate((([0, 1, 2], [0, 2, 1]), ([3, 4], [0, 1]))):
        scores = head(states_RH[rows])[:, 3:]
        weights = scores[torch.arange(len(rows)), kinds].softmax(0)
        expected = head(weights @ states_RH[rows])[:3]
        torch.testing.assert_close(found[text], expected)


def test_rows_are_counted_as_windows_are_drawn() -> None:
    index = Windows(windows_per_step=3).index([2, 5])
    assert index.starts.tolist() == [0, 2, 7] and index.per_step == 3 and index.keeps_ends
    assert not Windows(windows_per_step=3, pooling="mean").index([2, 5]).keeps_ends
    assert Truncate().index([1, 1]) is None
