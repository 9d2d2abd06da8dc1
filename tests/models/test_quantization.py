"""What is quantised of a base model, what is not, and what tells quantised weights apart."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from welltuned.models.anatomy import examine_anatomy
from welltuned.models.config import ModelConfig
from welltuned.models.folded_lora import FoldedLora, fold_lora
from welltuned.models.freezing import hash_weights
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.loading import Head, build_skeleton
from welltuned.models.merged_weights import can_be_merged
from welltuned.models.quantization import (
    QuantizedPart,
    held_tensors,
    quantization_faults,
    quantize_base,
    scales_of,
    weight_count,
)

SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
SIZES_OF: dict[str, dict[str, int]] = {"gpt2": {"n_embd": 64, "n_layer": 2}}
KINDS = ("nf4", "int8")


def quantized(folder: str, kind: str, auto_class: Any, device: str = "cpu") -> tuple[Any, Any]:
    """(a model whose base is quantised, its anatomy)."""
    torch.manual_seed(0)  # of a new head
    model = auto_class.from_pretrained(folder).eval()
    head = Head(auto_class, model.config, auto_class is not AutoModelForCausalLM)
    anatomy = examine_anatomy(build_skeleton(head), head.new)
    asked = ModelConfig.model_validate({"name": folder, "quantization": kind})
    quantize_base(model, asked, anatomy, torch.device(device))
    return model, anatomy


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_of_a_language_model_only_blocks_are_quantised(kind: str, family: str, causal: Any) -> None:
    model, anatomy = quantized(
        causal(family, **SIZES_OF.get(family, SIZES)), kind, AutoModelForCausalLM
    )
    require_only_blocks(model, anatomy)
    assert type(model.get_output_embeddings()) is nn.Linear


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["bert", "llama", "gpt2"])
def test_of_a_classifier_neither_head_nor_pooler_is(kind: str, family: str, tiny: Any) -> None:
    """Whatever a family calls them: `classifier`, or `score` for decoders."""
    sizes = SIZES_OF.get(family, SIZES)
    model, anatomy = quantized(tiny(family, **sizes), kind, AutoModelForSequenceClassification)
    require_only_blocks(model, anatomy)
    for name in (*anatomy.head, *anatomy.pooler):
        assert not any(map(scales_of, model.get_submodule(name).parameters()))


def require_only_blocks(model: Any, anatomy: Any) -> None:
    found = {
        name.removesuffix(".weight")
        for name, weight in model.named_parameters()
        if scales_of(weight)
    }
    assert found == {linear for block in anatomy.blocks for linear in block.linears}
    for name, weight in model.named_parameters():
        assert scales_of(weight) or weight.dtype == torch.float32, name
    part = QuantizedPart.of(model)
    assert part.layers == len(found)
    counted = sum(map(weight_count, model.parameters()))
    assert counted == anatomy.parameters


@pytest.mark.parametrize(("kind", "bits"), [("nf4", 4.5), ("int8", 8.6)])
def test_it_takes_the_bits_that_it_is_named_after(kind: str, bits: float, tiny: Any) -> None:
    model, _ = quantized(tiny("llama", **SIZES), kind, AutoModelForSequenceClassification)
    part = QuantizedPart.of(model)
    assert 8 * part.bytes / part.weights <= bits
    held = sum(tensor.nbytes for tensor in held_tensors(model))
    whole = AutoModelForSequenceClassification.from_pretrained(tiny("llama", **SIZES))
    saved = 4 * part.weights - part.bytes
    assert held == sum(tensor.nbytes for tensor in held_tensors(whole)) - saved


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_what_it_computes_is_near(kind: str, family: str, causal: Any) -> None:
    """GPT-2 holds its weights the other way round."""
    folder = causal(family, **SIZES_OF.get(family, SIZES))
    model, _ = quantized(folder, kind, AutoModelForCausalLM)
    ids = torch.arange(6, 18)[None]
    with torch.no_grad():
        wanted = AutoModelForCausalLM.from_pretrained(folder).eval()(ids).logits
        found = model(ids).logits
    apart = float((found - wanted).norm() / wanted.norm())
    assert 0 < apart < (0.2 if kind == "nf4" else 0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_the_scales_are_part_of_a_weight(kind: str, tiny: Any) -> None:
    """A base that was scaled has the same bits, and is another."""
    folder = tiny("llama", **SIZES)
    (one, anatomy), (other, _) = (
        quantized(folder, kind, AutoModelForSequenceClassification) for _ in range(2)
    )
    name = f"{anatomy.blocks[0].linears[0]}.weight"
    before = hash_weights(one.named_parameters())
    assert hash_weights(other.named_parameters()) == before
    for scale in scales_of(other.get_parameter(name)):
        scale.mul_(2)
    changed = hash_weights(other.named_parameters())
    assert {key for key in before if before[key] != changed[key]} == {name}
    parts = [FrozenPart(model.requires_grad_(False), anatomy) for model in (one, other)]
    assert parts[0].fingerprint(1) != parts[1].fingerprint(1)


def test_states_of_frozen_blocks_are_of_one_quantisation(tiny: Any) -> None:
    folder, found = tiny("llama", **SIZES), set()
    for kind in KINDS:
        model, anatomy = quantized(folder, kind, AutoModelForSequenceClassification)
        found.add(FrozenPart(model.requires_grad_(False), anatomy).fingerprint(1))
    whole = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    found.add(FrozenPart(whole.requires_grad_(False), anatomy).fingerprint(1))
    assert len(found) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_merged_or_folded_into_so_few_bits(kind: str, tiny: Any) -> None:
    model, _ = quantized(tiny("llama", **SIZES), kind, AutoModelForSequenceClassification)
    adapted: Any = get_peft_model(model, LoraConfig(target_modules=["q_proj"]))
    assert not can_be_merged(adapted)
    fold_lora(adapted)
    assert not any(isinstance(module, FoldedLora) for module in adapted.modules())


def test_without_a_word_nothing_is_done(tiny: Any) -> None:
    folder = tiny("llama", **SIZES)
    model: Any = nn.Linear(2, 2)
    quantize_base(model, ModelConfig(name=folder), None, torch.device("meta"))  # type: ignore[arg-type]
    assert model.weight.device.type == "cpu"


# --- Refusals -----------------------------------------------------------------------


def anatomy_of(width: int, linears: tuple[str, ...] = ("a",)) -> Any:
    return SimpleNamespace(
        hidden_size=width, family="llama", blocks=[SimpleNamespace(linears=linears)]
    )


@pytest.mark.parametrize(
    ("kind", "width", "linears", "device", "codes"),
    [
        (None, 32, (), "mps", []),
        ("nf4", 64, ("a",), "cuda", []),
        ("int8", 33, ("a",), "cpu", []),
        ("nf4", 32, ("a",), "cpu", ["model.quantization_rows_do_not_fit"]),
        ("nf4", 64, ("a",), "mps", ["model.quantization_device_unsupported"]),
        ("int8", 64, (), "cpu", ["model.quantization_without_layers"]),
    ],
)
def test_what_cannot_be_is_told_before_weights(
    kind: Any, width: int, linears: tuple[str, ...], device: str, codes: list[str]
) -> None:
    model = ModelConfig(name="m", quantization=kind)
    found = quantization_faults(model, anatomy_of(width, linears), device)
    assert [fault.code for fault in found] == codes


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    model = ModelConfig(name="m", quantization="nf4")
    (fault,) = quantization_faults(model, anatomy_of(64), "cpu")
    assert fault.code == "model.quantization_package_missing"
    assert "pip install 'welltuned[quantization]'" in fault.remedy
