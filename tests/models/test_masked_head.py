"""The loss of hidden tokens, by a head that sees their positions alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional

from support import ENCODERS, make_config
from welltuned.models.masked_head import masked_losses


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    ids = torch.randint(6, 40, (3, 9))
    labels = torch.full((3, 9), -100)
    labels[0, 2], labels[2, 7], labels[2, 3] = 7, 8, 9
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def model_of(family: str) -> Any:
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(0)
    return AutoModelForMaskedLM.from_config(make_config(family)).eval()


@pytest.mark.parametrize("family", ENCODERS)
def test_losses_and_gradients_are_those_of_the_whole_logits(family: str) -> None:
    model, given = model_of(family), batch()
    labels = given["labels"]
    whole = model(**{name: value for name, value in given.items() if name != "labels"}).logits
    functional.cross_entropy(whole[labels != -100], labels[labels != -100]).backward()
    weight = model.get_input_embeddings().weight
    expected = weight.grad.clone()
    model.zero_grad()
    found = masked_losses(model, **given)
    (found.losses_M.sum() / 3).backward()
    torch.testing.assert_close(weight.grad, expected)
    assert found.rows_M.tolist() == [0, 2, 2]
    hits = whole.argmax(-1)[labels != -100] == labels[labels != -100]
    assert found.hits_M.tolist() == hits.tolist()


def test_the_model_is_left_as_it_was() -> None:
    model, given = model_of("bert"), batch()
    masked_losses(model, **given)
    assert model(given["input_ids"]).logits.shape == (3, 9, 44)


def test_a_batch_without_anything_hidden_has_a_loss_of_nothing() -> None:
    model, given = model_of("roberta"), batch()
    found = masked_losses(model, **{**given, "labels": torch.full((3, 9), -100)})
    found.losses_M.sum().backward()
    assert len(found.losses_M) == 0
