"""KL to the untouched model: zero at the start, and a pull afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from faults import refused
from support import STRATEGIES, config_values, session_for, write_rows
from welltuned.config import run_config_from
from welltuned.evaluation import kl_reference
from welltuned.training import retention_steps
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import prepare

TASK = {"type": "generation", "max_length": 48}
SPEAKING = [name for name in STRATEGIES if name != "head"]


def guarded(folder: str, data: Any, strategy: Any = "full", **given: Any) -> tuple[Any, Any]:
    session = session_for(
        folder, data, strategy, task=TASK, protection={"type": "kl", "texts": 3, **given}
    )
    [guard] = retention_steps.guards(session, Observer())
    return session, guard


def stir(session: Any) -> None:
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in session.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))


@pytest.mark.parametrize("strategy", SPEAKING)
def test_it_is_the_distance_from_the_pretrained_model(
    strategy: str, causal: Any, instructions: str
) -> None:
    """Zero at the start for all that start as the pretrained model; prompts and prefixes do not."""
    session, guard = guarded(causal("llama"), instructions, STRATEGIES[strategy])
    session.model.train()
    first = guard.penalise(1)
    if strategy in ("prompt", "prefix", "projected"):
        assert first > 1e-5
    else:
        assert abs(first) < 1e-6
    session.model.zero_grad(set_to_none=True)
    stir(session)
    assert guard.penalise(1) > 1e-4
    for name, parameter in session.model.named_parameters():
        assert (parameter.grad is None) != parameter.requires_grad or not parameter.requires_grad
        assert parameter.requires_grad or parameter.grad is None, name
    assert any(p.grad is not None and p.grad.any() for p in session.model.parameters())


def test_a_step_down_its_gradient_comes_nearer(causal: Any, instructions: str) -> None:
    session, guard = guarded(causal("gpt2"), instructions)
    stir(session)
    before = guard.penalise(1)
    with torch.no_grad():
        norm = sum(p.grad.square().sum() for p in session.model.parameters() if p.grad is not None)
        for parameter in session.model.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=0.1 * before / float(norm))
    after = guard.penalise(1)
    assert 0.8 * before < after < 0.95 * before


def test_weight_multiplies_it(causal: Any, instructions: str) -> None:
    values = []
    for weight in (1.0, 3.0):
        session, guard = guarded(causal("gpt2"), instructions, weight=weight)
        stir(session)
        values.append(guard.penalise(1))
    assert values[1] == pytest.approx(3 * values[0], rel=1e-4)


def test_only_every_so_many_steps_and_with_texts_in_turn(
    causal: Any, instructions: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, guard = guarded(causal("gpt2"), instructions, every=3, texts=40)
    stir(session)
    asked: list[list[int]] = []
    original = kl_reference.KLReference.divergences

    def spied(self: Any, model: Any, chosen: Any, *rest: Any) -> Any:
        asked.append(list(chosen))
        return original(self, model, chosen, *rest)

    monkeypatch.setattr(kl_reference.KLReference, "divergences", spied)
    values = [guard.penalise(step) for step in range(1, 10)]
    assert [value > 0 for value in values] == [True, False, False] * 3
    number = len(guard._reference.texts)
    assert number >= 100
    assert [text for turn in asked for text in turn] == [i % number for i in range(120)]


def test_it_draws_no_random_number_and_leaves_modes_alone(causal: Any, instructions: str) -> None:
    """Dropout is off while it reads; training draws the same masks as without it."""
    session, guard = guarded(causal("llama"), instructions, {"type": "lora", "lora_dropout": 0.5})
    stir(session)
    session.model.train()
    state = torch.get_rng_state()
    one = guard.penalise(1)
    assert torch.equal(state, torch.get_rng_state())
    assert all(module.training for module in session.model.modules())
    assert guard.penalise(1) == one


def test_replay_may_be_what_it_holds_on_to(causal: Any, instructions: str, tmp_path: Path) -> None:
    """Plain text protects a model that is tuned on conversations."""
    rows = [{"text": f"the film was good {'very ' * i}"} for i in range(9)]
    data = {"train": instructions, "replay": write_rows(tmp_path / "old.jsonl", rows)}
    session, guard = guarded(causal("llama"), data, on="replay")
    stir(session)
    assert guard.penalise(1) > 0
    assert len(guard._reference.texts) == 9
    assert len(session.prepared.learned) == len(session.prepared.examples["train"])


def test_a_model_with_a_new_head_has_no_predictions_of_before(tiny: Any, sentiment: str) -> None:
    with refused("protection.kl_without_language_head"):
        session_for(tiny("bert"), sentiment, "full", protection="kl")


def test_an_encoder_decoder_has_no_predictions_along_a_text(
    two_sided: Any, instructions: str, tmp_path: Path
) -> None:
    values = config_values(two_sided("t5"), instructions, "full", tmp_path / "run")
    values |= {"task": "generation", "protection": "kl"}
    with refused("protection.kl_of_two_stacks", protection="kl"):
        prepare(run_config_from(values))
