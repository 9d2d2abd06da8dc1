"""Prompts that an encoder-decoder answers together, as each is answered alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from support import ENCODER_DECODERS
from welltuned.data.tokens.encoding import Encoded
from welltuned.tasks.generation.seq2seq_decoding import Seq2SeqDecoder

PROMPTS = [[7, 8, 9, 10, 11, 12, 3], [13, 3], [14, 15, 16, 3]]
OPTIONS: dict[str, Any] = {
    "max_new_tokens": 5, "do_sample": False, "pad_token_id": 0, "eos_token_id": [3],
    "no_repeat_ngram_size": 1,
}  # fmt: skip


def encoded(rows: list[list[int]]) -> Encoded:
    return Encoded.of(rows, [False] * len(rows))


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_answers_are_those_of_single_prompts_whatever_the_batch(
    family: str, two_sided: Callable[..., str]
) -> None:
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(two_sided(family)).eval()
    alone = [Seq2SeqDecoder(model, OPTIONS).answer(encoded([row]), 1)[0] for row in PROMPTS]
    heard: list[int] = []
    for budget in (1, 1000):
        found = Seq2SeqDecoder(model, OPTIONS).answer(encoded(PROMPTS), budget, heard.append)
        assert found == alone
    assert heard == [1, 2, 3, 3]


def test_an_answer_ends_with_its_end_and_starts_behind_the_decoders_first_token() -> None:
    class Model:
        def parameters(self) -> Any:
            import torch

            return iter([torch.zeros(1)])

        def generate(self, **given: Any) -> Any:
            import torch

            return torch.tensor([[2, 9, 3, 0, 0], [2, 9, 8, 7, 6]])

    said = Seq2SeqDecoder(Model(), OPTIONS).answer(encoded(PROMPTS[:2]), 1000)
    assert [list(np.array(row)) for row in said] == [[9, 3], [9, 8, 7, 6]]
