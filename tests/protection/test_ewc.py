"""Elastic weight consolidation: which weights matter, and how strongly they are held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from support import session_for
from welltuned.protection.ewc import _projection, fisher
from welltuned.protection.l2sp import Pull
from welltuned.training import retention_steps
from welltuned.training.observer import Observer

TEXTS_3I = torch.tensor([[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]])


def line(weight: nn.Parameter) -> Any:
    return lambda text: (TEXTS_3I[text] * weight).sum()


def test_it_is_the_mean_of_squared_gradients_text_by_text() -> None:
    """And not the square of their mean: (1 + 1 + 9) / 3, (4 + 1/4 + 0) / 3."""
    model = nn.Linear(2, 1, bias=False)
    weight = nn.Parameter(torch.zeros(2))
    unused = nn.Parameter(torch.zeros(3))
    information, nothing = fisher(model, [weight, unused], line(weight), [0, 1, 2])
    torch.testing.assert_close(information, torch.tensor([11 / 3, 4.25 / 3]))
    assert not nothing.any()
    assert weight.grad is None, "gradients are left as they were"


def test_the_pull_is_weighted_by_importance() -> None:
    """lambda · F · (w - w0), the gradient of lambda / 2 · F · (w - w0)²."""
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    guard = Pull([weight], 0.5, [torch.tensor([4.0, 0.0])])
    with torch.no_grad():
        weight.add_(2)
    weight.grad = torch.zeros(2)
    assert guard.penalise(1) == pytest.approx(0.25 * 4 * 4)
    assert weight.grad.tolist() == [0.5 * 4 * 2, 0]


def test_frozen_weights_are_asked_too_and_stay_frozen() -> None:
    """Gradual unfreezing begins with them frozen."""
    weight = nn.Parameter(torch.zeros(2), requires_grad=False)
    [information] = fisher(nn.Linear(1, 1), [weight], line(weight), [2])
    assert information.tolist() == [9, 0]
    assert not weight.requires_grad


def held(folder: str, data: str, protection: Any, strategy: Any = "full", **parts: Any) -> Any:
    given = {"type": "ewc", **protection}
    session = session_for(folder, data, strategy, protection=given, **parts)
    notes: list[str] = []

    class Hearing(Observer):
        def noted(self, text: str) -> None:
            notes.append(text)

    state = torch.get_rng_state()
    [guard] = retention_steps.guards(session, Hearing())
    assert torch.equal(state, torch.get_rng_state()), "training draws the same numbers as without"
    return session, guard, notes


def importance(session: Any, guard: Any) -> dict[str, torch.Tensor]:
    """By name, from the gradient where every weight is one unit away from its start."""
    with torch.no_grad():
        for parameter in session.model.parameters():
            parameter.add_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    guard.penalise(1)
    return {name: value.grad for name, value in session.model.named_parameters()}


@pytest.mark.parametrize("on", ["general", "train"])
def test_importance_has_a_mean_of_one_over_all_that_was_there_before(
    on: str, tiny: Any, sentiment: str
) -> None:
    """So that lambda compares with alpha of L2-SP; the new head has none."""
    given = {"lambda": 0.5, "on": on, "texts": 8}
    session, guard, notes = held(tiny("bert"), sentiment, given)
    found = importance(session, guard)
    old = [value for name, value in found.items() if not name.startswith("classifier")]
    assert not any(found[name].any() for name in found if name.startswith("classifier"))
    total = sum(value.numel() for value in old)
    mean = sum(float(value.sum()) for value in old) / total
    assert mean == pytest.approx(0.5, rel=1e-3)
    assert min(float(value.min()) for value in old) >= -1e-6
    assert f"{total:,} weights from 8 texts" in notes[0]


def test_word_embeddings_matter_by_how_often_their_words_occur(tiny: Any, sentiment: str) -> None:
    """Those of words that no text has do not matter at all."""
    session, guard, _ = held(tiny("bert"), sentiment, {"on": "train", "texts": 20})
    words_VH = importance(session, guard)["bert.embeddings.word_embeddings.weight"]
    unused = session.prepared.tokenizer.convert_tokens_to_ids("[EOS]")
    film = session.prepared.tokenizer.convert_tokens_to_ids("film")
    assert float(words_VH[unused].abs().max()) == pytest.approx(0, abs=1e-6)
    assert float(words_VH[film].abs().max()) > 1e-3


def test_a_language_model_is_asked_by_its_likelihood(causal: Any, instructions: str) -> None:
    task = {"type": "generation", "max_length": 48}
    for on in ("general", "train"):
        session, guard, _ = held(causal("llama"), instructions, {"on": on, "texts": 4}, task=task)
        found = importance(session, guard)
        assert all(bool(value.any()) for value in found.values()), "every weight matters"


def test_the_projection_has_the_information_of_a_unit_normal(tiny: Any, sentiment: str) -> None:
    """For h linear in a weight, the mean over directions of (d e·h)² is the squared gradient of
    h summed over its coordinates."""
    session = session_for(tiny("bert"), sentiment, "full")
    subject, texts = session.subject("fp32"), ["the film was good", "a bad meal"]
    bias = session.model.bert.encoder.layer[3].output.LayerNorm.bias  # h = … + bias
    draws = []
    for seed in range(120):
        loss = _projection(subject, texts, seed)
        [information] = fisher(session.model, [bias], loss, [0, 1])
        draws.append(information)
    # Every coordinate of h moves by one with its own bias: the information is 1 each.
    mean = torch.stack(draws).mean(dim=0)
    assert mean.mean() == pytest.approx(1, abs=0.1)
    assert mean.min() > 0.4 and mean.max() < 2
