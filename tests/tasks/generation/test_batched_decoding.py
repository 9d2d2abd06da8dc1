"""Passes that no answer needs are not made. `contracts/test_generation.py` has what is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from support import make_config
from welltuned.data.tokens.encoding import Encoded
from welltuned.tasks.generation import batched_decoding
from welltuned.tasks.generation.batched_decoding import BatchedDecoder

BEGINNING = list(range(10, 30))
OPTIONS = {
    "do_sample": False, "max_new_tokens": 12, "pad_token_id": 0, "eos_token_id": [],
    "no_repeat_ngram_size": 1, "suppress_tokens": [0],
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Any:
    """A random language model that says no token twice, and stops nowhere by itself."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(make_config("llama", eos_token_id=None)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)
    return model


@pytest.fixture
def passes(model: Any) -> Any:
    """The shape of what each forward pass reads."""
    read: list[tuple[int, ...]] = []
    hook = model.register_forward_pre_hook(
        lambda module, _, given: read.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    yield read
    hook.remove()


def encoded(rows: list[list[int]]) -> Encoded:
    return Encoded.of(rows, [False] * len(rows))


def own(number: int) -> list[list[int]]:
    """Prompts that have nothing in common."""
    return [[31 + i, *range(6, 9 + i)] for i in range(number)]


def test_rows_leave_as_their_answers_end(model: Any, passes: Any) -> None:
    endless = BatchedDecoder(model, OPTIONS).answer(encoded(own(10)), 1000)
    assert {shape[0] for shape in passes} == {10}
    passes.clear()
    options = {**OPTIONS, "eos_token_id": [answer[i] for i, answer in enumerate(endless)]}
    answers = BatchedDecoder(model, options).answer(encoded(own(10)), 1000)
    rows = [shape[0] for shape in passes]
    assert rows == sorted(rows, reverse=True) and len(set(rows)) > 2
    needed = sum(map(len, answers))
    assert needed <= sum(rows) < 1.5 * needed < 10 * 12


def test_what_all_prompts_begin_with_is_read_once(model: Any, passes: Any) -> None:
    prompts = [BEGINNING + row for row in own(10)]
    BatchedDecoder(model, OPTIONS).answer(encoded(prompts), 1000)
    assert passes[:2] == [(1, len(BEGINNING)), (10, max(map(len, own(10))))]


def test_a_batch_stays_within_the_budget_and_begins_with_the_longest(
    model: Any, passes: Any
) -> None:
    said: list[int] = []
    BatchedDecoder(model, OPTIONS).answer(encoded(own(6)), 3 * (9 + 12), said.append)
    first = [shape for shape in passes if shape[1] > 1]
    assert first == [(3, 9), (3, 6)]
    assert said == [1, 2, 3, 4, 5, 6]


def test_a_cache_that_cannot_give_up_rows_is_read_anew(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = encoded(own(6))
    endless = BatchedDecoder(model, OPTIONS).answer(prompts, 1000)
    decoder = BatchedDecoder(model, {**OPTIONS, "eos_token_id": [row[2] for row in endless[:4]]})
    wanted = decoder.answer(prompts, 1000)
    monkeypatch.setattr(batched_decoding, "take_rows", lambda cache, rows, length: None)
    assert decoder.answer(prompts, 1000) == wanted != endless


def test_beams_of_all_rows_end_together(model: Any, passes: Any) -> None:
    options = {**OPTIONS, "num_beams": 2, "eos_token_id": [9]}
    prompts = [BEGINNING + row for row in own(4)]
    found = BatchedDecoder(model, options).answer(encoded(prompts), 1000)
    assert {shape[0] for shape in passes} == {8}
    alone = [BatchedDecoder(model, options).answer(encoded([row]), 1)[0] for row in prompts]
    assert found == alone
