"""The loss of responses under an encoder-decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from support import ENCODER_DECODERS
from welltuned.data.tokens.encoding import IGNORED
from welltuned.models.encoder_decoder import response_losses

each = pytest.mark.parametrize("family", ENCODER_DECODERS)


def read(folder: str) -> Any:
    from transformers import AutoModelForSeq2SeqLM

    return AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def batch() -> dict[str, torch.Tensor]:
    """Two prompts and two responses of unequal lengths."""
    return {
        "input_ids": torch.tensor([[7, 8, 9, 3], [10, 3, 0, 0]]),
        "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]),
        "labels": torch.tensor([[11, 3, IGNORED], [12, 13, 3]]),
    }


@each
def test_the_loss_is_that_of_the_plain_library(family: str, two_sided: Callable[..., str]) -> None:
    model, given = read(two_sided(family)), batch()
    with torch.no_grad():
        theirs = model(**given).loss  # the mean over labelled tokens of the batch
        ours = response_losses(model, **given)
    torch.testing.assert_close(ours.losses_M.mean(), theirs, atol=1e-5, rtol=1e-5)
    assert ours.rows_M.tolist() == [0, 0, 1, 1, 1]
    assert ours.positions_M.tolist() == [1, 2, 1, 2, 3]


@each
def test_a_response_has_the_loss_that_it_has_by_itself(
    family: str, two_sided: Callable[..., str]
) -> None:
    model, given = read(two_sided(family)), batch()
    with torch.no_grad():
        together = response_losses(model, **given).losses_M[2:]
        alone = {name: value[1:, :3] for name, value in given.items()}
        apart = response_losses(model, **alone).losses_M
    torch.testing.assert_close(together, apart, atol=1e-4, rtol=1e-4)


def test_a_batch_without_responses_has_gradients_of_zero(two_sided: Callable[..., str]) -> None:
    model, given = read(two_sided("t5")), batch()
    given["labels"] = torch.full_like(given["labels"], IGNORED)
    found = response_losses(model, **given)
    assert found.losses_M.shape == (0,)
    found.losses_M.sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)
