"""Hidden states as features, for every family and whatever a strategy has put in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from support import FAMILIES, STRATEGIES, build, make_rows
from welltuned.data.tokens.encoding import encode_texts
from welltuned.evaluation.features import pooled_states, trunk_of, word_states
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_tokenizer

TEXTS = [row["text"] for row in make_rows(9, seed=3)]
INJECTED = ("lora", "prompt", "prefix", "houlsby")


def encoded(folder: str, texts: list[str] = TEXTS) -> Any:
    return encode_texts(read_tokenizer(ModelConfig(name=folder)), texts, None, 64)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_of_every_family_has_its_states(family: str, tiny: Any) -> None:
    """In the order of the texts; the last ones are those that the head reads."""
    model, anatomy, _ = build(tiny(family), {"type": "full"})
    texts = encoded(tiny(family))
    found = pooled_states(model, anatomy, texts, 0, "mean", batch_size=4)
    assert found.shape == (anatomy.num_blocks + 1, len(TEXTS), anatomy.hidden_size)
    model.eval()
    for i in range(len(TEXTS)):
        ids = torch.tensor([texts[i].tolist()])
        with torch.no_grad():
            last = trunk_of(model, anatomy)(input_ids=ids, attention_mask=torch.ones_like(ids))
        mean = last.last_hidden_state.mean(dim=1)[0]
        np.testing.assert_allclose(found[-1, i], mean.numpy(), atol=1e-5)
    only = pooled_states(model, anatomy, texts, 0, "mean", last_only=True)
    np.testing.assert_allclose(only[0], found[-1], atol=1e-5)
    steps = [np.abs(found[i + 1] - found[i]).max() for i in range(anatomy.num_blocks)]
    assert min(steps) > 1e-3, "no block is given twice"


@pytest.mark.parametrize("family", ["bert", "llama"])
@pytest.mark.parametrize("strategy", INJECTED)
def test_what_was_injected_is_read_along_and_has_no_place_of_its_own(
    strategy: str, family: str, tiny: Any
) -> None:
    """(T1) A prompt's states are cut out, so words keep their places."""
    model, anatomy, chosen = build(tiny(family), STRATEGIES[strategy])
    plain, _, _ = build(tiny(family), {"type": "full"})
    texts = encoded(tiny(family))
    before = pooled_states(plain, anatomy, texts, 0, "first")
    with chosen.base_model(model):
        off = pooled_states(model, anatomy, texts, 0, "first")
    np.testing.assert_allclose(off, before, atol=1e-5)
    on = pooled_states(model, anatomy, texts, 0, "first")
    assert on.shape == before.shape
    np.testing.assert_allclose(on[0], before[0], atol=1e-5)
    assert (np.abs(on[-1] - before[-1]).max() > 1e-3) == (strategy in ("prompt", "prefix"))


def test_pooling_reads_what_heads_read(tiny: Any) -> None:
    """`model`: the first token of an encoder, the last one of a decoder."""
    for family, own in (("bert", "first"), ("llama", "last")):
        model, anatomy, _ = build(tiny(family), {"type": "full"})
        texts = encoded(tiny(family))
        by_model = pooled_states(model, anatomy, texts, 0, "model")
        np.testing.assert_array_equal(by_model, pooled_states(model, anatomy, texts, 0, own))
        other = {"first": "last", "last": "first"}[own]
        assert not np.allclose(by_model, pooled_states(model, anatomy, texts, 0, other))


def test_states_of_single_words_stand_in_order(tiny: Any) -> None:
    model, anatomy, _ = build(tiny("bert"), {"type": "full"})
    texts = encoded(tiny("bert"))
    places = [np.arange(1, len(texts[i]) - 1, 2) for i in range(len(texts))]
    found = word_states(model, anatomy, texts, places, 0, batch_size=4)
    assert found.shape[1] == sum(map(len, places))
    every = [np.arange(len(texts[i])) for i in range(len(texts))]
    whole = word_states(model, anatomy, texts, every, 0, batch_size=2)
    starts = np.cumsum([0, *map(len, every)])
    wanted = np.concatenate([starts[i] + places[i] for i in range(len(texts))])
    np.testing.assert_allclose(found, whole[:, wanted], atol=1e-5)


def test_looking_changes_neither_modes_nor_weights(tiny: Any) -> None:
    model, anatomy, _ = build(tiny("bert", hidden_dropout_prob=0.5), {"type": "full"})
    model.train()
    modes = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    one = pooled_states(model, anatomy, encoded(tiny("bert")), 0)
    two = pooled_states(model, anatomy, encoded(tiny("bert")), 0)
    assert np.array_equal(one, two), "dropout is off"
    assert modes == [module.training for module in model.modules()]
    assert torch.equal(state, torch.get_rng_state()), "no random number is drawn"
