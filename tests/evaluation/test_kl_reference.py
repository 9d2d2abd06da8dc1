"""A language model remembered: the divergence from it, without keeping its logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from support import make_rows
from welltuned.data.tokens.encoding import Encoded
from welltuned.evaluation import kl_reference as module
from welltuned.evaluation.kl_reference import KLReference, affordable, has_plain_logits
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_tokenizer

CHUNKS = (1, 7, 1000)


def texts_of(folder: str, number: int = 6) -> Encoded:
    tokenizer = read_tokenizer(ModelConfig(name=folder))
    rows = [tokenizer(row["text"])["input_ids"] for row in make_rows(number, seed=4)]
    labels = [[-100, -100, *row[2:]] for row in rows]
    return Encoded.of(rows, [False] * number, labels=labels)


def load(folder: str) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def stirred(model: Any, seed: int = 1) -> Any:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def divergence_by_hand(before: Any, after: Any, texts: Encoded) -> np.ndarray:
    """From whole logits, text by text without padding: the mean of labelled tokens (N)."""
    means = []
    for i in range(len(texts)):
        ids = torch.tensor([texts[i].tolist()])
        with torch.no_grad():
            p, q = (
                model(input_ids=ids).logits[0, 1:-1].log_softmax(-1) for model in (before, after)
            )
        means.append(float((p.exp() * (p - q)).sum(-1).mean()))
    return np.array(means)


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_it_is_the_divergence_of_whole_logits(
    family: str, chunk: int, causal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the batch, the padding and the size of a chunk; of labelled tokens alone."""
    monkeypatch.setattr(module, "default_chunk", lambda vocabulary: chunk)
    texts, model = texts_of(causal(family)), load(causal(family))
    assert has_plain_logits(model, texts)
    reference = KLReference.of(model, texts, 0, 4, {id(p) for p in model.parameters()})
    stirred(model)
    expected = divergence_by_hand(load(causal(family)), model, texts)
    assert expected.min() > 1e-3
    with torch.no_grad():
        nats_M, text_M = reference.divergences(model, [5, 0, 3], 2)
    assert sorted(set(text_M)) == [0, 3, 5]
    for text in (0, 3, 5):
        mean = float(nats_M[torch.from_numpy(text_M == text)].mean())
        assert mean == pytest.approx(expected[text], rel=1e-4)


def test_a_model_is_at_no_distance_from_itself(causal: Any) -> None:
    """In training mode too: dropout is off while it is asked."""
    texts, model = texts_of(causal("llama")), load(causal("llama"))
    reference = KLReference.of(model, texts, 0, 4, {id(p) for p in model.parameters()})
    model.train()
    with torch.no_grad():
        nats_M, _ = reference.divergences(model, range(len(texts)), 3)
    assert float(nats_M.abs().max()) < 1e-6
    assert model.training


@pytest.mark.parametrize("chunk", CHUNKS)
def test_its_gradient_is_that_of_whole_logits(
    chunk: int, causal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "default_chunk", lambda vocabulary: chunk)
    folder = causal("llama")
    texts, model = texts_of(folder, 3), load(folder)
    reference = KLReference.of(model, texts, 0, 4, {id(p) for p in model.parameters()})
    stirred(model)
    nats_M, _ = reference.divergences(model, [0, 1, 2], 3)
    nats_M.sum().backward()
    twin, before = stirred(load(folder)), load(folder)
    total: Any = 0.0
    for i in range(3):
        ids = torch.tensor([texts[i].tolist()])
        with torch.no_grad():
            p = before(input_ids=ids).logits[0, 1:-1].log_softmax(-1)
        q = twin(input_ids=ids).logits[0, 1:-1].log_softmax(-1)
        total = total + (p.exp() * (p - q)).sum()
    total.backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-4)


def test_only_an_output_layer_that_trains_is_copied(causal: Any) -> None:
    """And nothing of the size of the vocabulary is kept for each token."""
    texts, model = texts_of(causal("gpt2")), load(causal("gpt2"))
    frozen = KLReference.of(model, texts, 0, 4, set())
    assert frozen.head.output is model.get_output_embeddings()
    weight = model.get_output_embeddings().weight
    trained = KLReference.of(model, texts, 0, 4, {id(weight)})
    with torch.no_grad():
        weight.add_(1)
    assert not torch.equal(trained.head.output.weight, weight)
    assert not trained.head.output.weight.requires_grad
    assert trained.head.trunk is None, "the trunk is not held on to"
    assert all(state.shape[1] == model.config.n_embd for state in trained.hidden)
    labelled = [len(texts[i]) - 2 for i in range(len(texts))]
    assert [len(state) for state in trained.hidden] == labelled


def test_a_model_that_does_more_to_its_logits_is_found_out(causal: Any) -> None:
    texts, model = texts_of(causal("llama")), load(causal("llama"))
    forward = type(model).forward

    def odd(self: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = forward(self, *args, **kwargs)
        outputs.logits = outputs.logits * 2
        return outputs

    model.forward = odd.__get__(model)
    assert not has_plain_logits(model, texts)


@pytest.mark.parametrize(
    ("most", "lengths", "kept"),
    [
        (2, [5, 5, 5], [2, 0]),
        (9, [8_000, 8_000, 8_000], [2, 0]),
        (9, [5, 5, 30_000], [2]),
        (9, [30_000, 5, 5], [2]),
    ],
)
def test_only_so_many_texts_and_tokens_are_remembered(
    most: int, lengths: list[int], kept: list[int]
) -> None:
    """In the order given, and one text at least, however long."""
    assert affordable(np.array(lengths), [2, 0, 1], most) == kept
