"""Adapters merged for a while: the same logits up to rounding, and the same bits afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import nn

from support import build, encode, logits, make_rows
from welltuned.runs import process_memory

TEXTS = [row["text"] for row in make_rows(4, seed=5)]
LORA: dict[str, Any] = {"type": "lora", "r": 4, "lora_alpha": 6}


def stirred(folder: str, **options: Any) -> tuple[Any, Any]:
    """A model as if trained by LoRA, in eval mode, and its strategy."""
    model, _, strategy = build(folder, {**LORA, **options})
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            nn.init.normal_(parameter, std=0.1)
    return model.eval(), strategy


def weights(model: nn.Module) -> dict[str, tuple[int, torch.Tensor]]:
    """Where each weight lies, and a copy of it."""
    return {
        name: (weight.data_ptr(), weight.detach().clone())
        for name, weight in model.named_parameters()
    }


def require_as_before(model: nn.Module, before: dict[str, tuple[int, torch.Tensor]]) -> None:
    for name, (place, weight) in weights(model).items():
        assert place == before[name][0] and torch.equal(weight, before[name][1]), name
    assert not any(layer.merged for layer in lora_layers(model))


def lora_layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, LoraLayer)]


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("llama", {}),
        ("gpt2", {}),
        ("llama", {"use_dora": True}),
        ("bert", {"lora_bias": True}),
        ("bert", {"init_lora_weights": "pissa"}),
        ("bert", {"target_modules": r".*word_embeddings"}),
    ],
    ids=str,
)
def test_merged_it_computes_the_same_and_is_put_back_to_the_bit(
    family: str, options: dict[str, Any], tiny: Any
) -> None:
    model, strategy = stirred(tiny(family), **options)
    batch, before = encode(tiny(family), TEXTS), weights(model)
    wanted = logits(model, batch)
    with strategy.merged_for_inference(model):
        assert all(layer.merged for layer in lora_layers(model))
        torch.testing.assert_close(logits(model, batch), wanted, atol=1e-4, rtol=1e-4)
    require_as_before(model, before)
    assert torch.equal(logits(model, batch), wanted)


def test_an_exception_leaves_no_merged_weight_behind(tiny: Any) -> None:
    model, strategy = stirred(tiny("llama"))
    before = weights(model)
    with pytest.raises(KeyboardInterrupt), strategy.merged_for_inference(model):
        raise KeyboardInterrupt
    require_as_before(model, before)


@pytest.mark.parametrize("failing", ["clone", "merge"])
def test_where_merging_itself_fails_all_is_put_back(
    failing: str, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, strategy = stirred(tiny("llama"))
    before, last = weights(model), lora_layers(model)[-1]
    if failing == "merge":
        monkeypatch.setattr(last, "merge", lambda: 1 / 0)
    else:
        monkeypatch.setattr(torch.Tensor, "clone", lambda tensor: 1 / 0)
    with pytest.raises(ZeroDivisionError), strategy.merged_for_inference(model):
        pass
    monkeypatch.undo()
    require_as_before(model, before)


def test_half_precision_keeps_its_adapters_apart(tiny: Any) -> None:
    """Rounded to bfloat16, a sum of a weight and a small update is the weight."""
    model, strategy = stirred(tiny("llama"))
    layer = lora_layers(model)[0].get_base_layer()
    layer.weight.data = layer.weight.data.bfloat16()
    with strategy.merged_for_inference(model):
        assert not any(layer.merged for layer in lora_layers(model))


def test_a_weight_that_another_layer_shares_is_not_changed_for_both(tiny: Any) -> None:
    model, strategy = stirred(tiny("llama"))
    layer = lora_layers(model)[0].get_base_layer()
    model.shared = nn.Linear(1, 1)
    model.shared.weight = layer.weight
    with strategy.merged_for_inference(model):
        assert not any(layer.merged for layer in lora_layers(model))


def test_what_is_switched_off_stays_off(tiny: Any) -> None:
    model, strategy = stirred(tiny("llama"))
    batch = encode(tiny("llama"), TEXTS)
    with strategy.base_model(model):
        wanted = logits(model, batch)
        with strategy.merged_for_inference(model):
            assert torch.equal(logits(model, batch), wanted)


def test_without_memory_for_a_copy_nothing_is_merged(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, strategy = stirred(tiny("llama"))
    monkeypatch.setattr(process_memory, "available", lambda: 1000)
    with strategy.merged_for_inference(model):
        assert not any(layer.merged for layer in lora_layers(model))


@pytest.mark.parametrize("kind", ["full", "prompt"])
def test_what_no_weight_can_hold_is_left_alone(kind: str, tiny: Any) -> None:
    model, _, strategy = build(tiny("llama"), {"type": kind})
    batch, before = encode(tiny("llama"), TEXTS), weights(model)
    wanted = logits(model, batch)
    with strategy.merged_for_inference(model):
        assert torch.equal(logits(model, batch), wanted)
    require_as_before(model, before)
