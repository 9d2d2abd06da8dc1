"""LoRA, held against sums done by hand and against PEFT's own helpers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from faults import refused
from support import build, encode, job_for, logits, make_rows, short_tune
from welltuned.artifact.save_load import load_artifact
from welltuned.deployment.export.run_export import export_run
from welltuned.engines import torch_loop

TEXTS = [row["text"] for row in make_rows(8, seed=5)]
LORA: dict[str, Any] = {"type": "lora", "r": 4, "lora_alpha": 6}


def lora_layers(model: nn.Module) -> list[Any]:
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer)]


def stir(model: nn.Module, size: float = 0.1) -> Any:
    """Give every B values, so that LoRA does something."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if ".lora_B." in name:
            nn.init.normal_(parameter, std=size)
    return model


def factors(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
def test_a_fresh_lora_changes_no_bit(family: str, tiny: Any) -> None:
    """(L1) B is zero, and A is not."""
    batch = encode(tiny(family), TEXTS)
    model, _, _ = build(tiny(family), LORA)
    assert torch.equal(
        logits(model, batch), logits(build(tiny(family), {"type": "full"})[0], batch)
    )
    for layer in lora_layers(model):
        a, b = factors(layer)
        assert not b.any() and a.all()


def test_a_is_drawn_uniformly_within_one_over_the_root_of_its_inputs(tiny: Any) -> None:
    """(L1) Kaiming's uniform with a = sqrt(5)."""
    model, _, _ = build(tiny("bert"), {**LORA, "r": 16})
    for layer in lora_layers(model):
        a, _ = factors(layer)
        bound = a.shape[1] ** -0.5
        assert 0.97 * bound < a.abs().max() <= bound
        assert float(a.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)


def test_in_the_first_step_only_b_has_a_gradient(tiny: Any) -> None:
    """(L2) A's is zero to the bit, since B is."""
    model, _, _ = build(tiny("bert"), LORA)
    model(**encode(tiny("bert"), TEXTS)).logits.square().sum().backward()
    for layer in lora_layers(model):
        a, b = (factor.grad for factor in factors(layer))
        assert a is not None and b is not None and not a.any() and b.any()


def test_in_the_first_step_only_b_and_the_head_move(tiny: Any, sentiment: str) -> None:
    """(L2) A moves from the second step on."""
    for steps, a_moves in ((1, False), (2, True)):
        training = {"num_train_epochs": "auto", "max_steps": steps, "weight_decay": 0.0}
        job = job_for(tiny("bert"), sentiment, LORA, training=training)
        before = {name: value.clone() for name, value in job.model.named_parameters()}
        torch_loop.fit_with_loop(job)
        moved = {n for n, p in job.model.named_parameters() if not torch.equal(p, before[n])}
        wanted = {n for n in before if ".lora_B." in n or ".modules_to_save." in n}
        assert moved == wanted | ({n for n in before if ".lora_A." in n} if a_moves else set())


@pytest.mark.parametrize(("rslora", "scale"), [(False, 6 / 4), (True, 6 / 4**0.5)])
def test_the_change_is_scaled_by_alpha_over_r_or_its_root(
    rslora: bool, scale: float, tiny: Any
) -> None:
    """(L3) y = Wx + b + scale · B(Ax)."""
    model, _, _ = build(tiny("bert"), {**LORA, "use_rslora": rslora})
    for layer in lora_layers(stir(model)):
        a, b = factors(layer)
        x = torch.randn(3, layer.in_features)
        wanted = layer.base_layer(x) + scale * (x @ a.T) @ b.T
        torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("extra", [{}, {"use_dora": True}, {"use_rslora": True}], ids=str)
def test_merging_changes_no_answer(extra: dict[str, Any], family: str, tiny: Any) -> None:
    """(L4) Not by more than 1e-5; and no trace of PEFT is left."""
    batch = encode(tiny(family), TEXTS)
    model, _, strategy = build(tiny(family), {**LORA, **extra})
    before = logits(stir(model, 0.02), batch)
    merged = strategy.merge(model)
    torch.testing.assert_close(logits(merged, batch), before, atol=1e-5, rtol=1e-5)
    assert not any("lora" in name or "base_layer" in name for name in merged.state_dict())


def test_merging_twice_is_merging_once_and_unmerging_restores(tiny: Any) -> None:
    """(L4) Down to float rounding."""
    batch = encode(tiny("bert"), TEXTS)
    model = stir(build(tiny("bert"), LORA)[0])
    before = [layer.base_layer.weight.clone() for layer in lora_layers(model)]
    model.merge_adapter()
    once = logits(model, batch)
    with pytest.warns(UserWarning, match="already merged"):
        model.merge_adapter()
    assert torch.equal(logits(model, batch), once)
    model.unmerge_adapter()
    for layer, weight in zip(lora_layers(model), before, strict=True):
        torch.testing.assert_close(layer.base_layer.weight, weight, atol=1e-6, rtol=1e-6)


def test_a_half_precision_weight_is_rounded_once_after_the_whole_sum(tiny: Any) -> None:
    """(L4) W + BA is summed in float32; rounding BA first would lose more."""
    model, _, strategy = build(tiny("bert"), LORA)
    for layer in lora_layers(stir(model, 0.01)):
        layer.base_layer.to(torch.bfloat16)
    parts = [(layer.base_layer.weight.clone(), *factors(layer)) for layer in lora_layers(model)]
    names = [name for name, layer in model.named_modules() if layer in set(lora_layers(model))]
    merged = strategy.merge(model)
    for name, (weight, a, b) in zip(names, parts, strict=True):
        found = merged.get_submodule(name.removeprefix("base_model.model.")).weight
        assert torch.equal(found, (weight.float() + 1.5 * b @ a).bfloat16())
        assert found.dtype == torch.bfloat16


def test_gpt2s_fused_and_transposed_layers_get_the_same_lora(tiny: Any) -> None:
    """(L5) One layer writes queries, keys and values; its weight is stored as (in, out)."""
    model, anatomy, strategy = build(tiny("gpt2"), LORA)
    fused = stir(model).base_model.model.get_submodule(anatomy.blocks[0].linears[0])
    a, b = factors(fused)
    assert (a.shape, b.shape) == ((4, 32), (96, 4))
    x = torch.randn(2, 32)
    wanted = x @ (fused.base_layer.weight + 1.5 * (b @ a).T) + fused.base_layer.bias
    torch.testing.assert_close(fused(x), wanted)
    weight = fused.base_layer.weight.clone()
    merged = strategy.merge(model).get_submodule(anatomy.blocks[0].linears[0])
    torch.testing.assert_close(merged.weight, weight + 1.5 * (b @ a).T)


def test_every_linear_layer_of_every_block_gets_one(tiny: Any) -> None:
    """(L5) And the head does not."""
    for family in ("bert", "gpt2", "llama", "deberta-v2"):
        model, anatomy, _ = build(tiny(family), LORA)
        linears = {linear for block in anatomy.blocks for linear in block.linears}
        layers = set(lora_layers(model))
        found = {
            n.removeprefix("base_model.model.") for n, m in model.named_modules() if m in layers
        }
        assert found == linears


@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_the_new_head_trains_and_is_saved(
    pooling: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L6) The pooler too, where there is one, in the file beside A and B."""
    run = short_tune(tiny("bert"), sentiment, LORA, tmp_path / "run", task={"pooling": pooling})
    saved = load_file(run.model / "adapter_model.safetensors")
    start, _, _ = build(tiny("bert"), {"type": "full"}, pooling)
    head = ["classifier.weight", "classifier.bias"]
    if pooling == "model":
        head += ["bert.pooler.dense.weight", "bert.pooler.dense.bias"]
    assert {name for name in saved if "lora_" not in name} == {
        f"base_model.model.{n}" for n in head
    }
    for name in head:
        assert not torch.equal(saved[f"base_model.model.{name}"], start.get_parameter(name))


def test_dropout_falls_on_what_a_reads_and_nowhere_else(tiny: Any) -> None:
    """(L7) The frozen path sees the whole input."""
    model, anatomy, _ = build(tiny("bert"), {**LORA, "lora_dropout": 0.5})
    layer = stir(model).base_model.model.get_submodule(anatomy.blocks[0].linears[0])
    a, b = factors(layer)
    x = torch.randn(5, 32)
    layer.train()
    torch.manual_seed(3)
    found = layer(x)
    torch.manual_seed(3)
    dropped = functional.dropout(x, 0.5)
    torch.testing.assert_close(found, layer.base_layer(x) + 1.5 * (dropped @ a.T) @ b.T)
    assert not torch.equal(found, layer.eval()(x))


def test_pissa_moves_part_of_the_base_into_the_factors(tiny: Any) -> None:
    """(L8) Together they are the original; with the adapter off they are not."""
    batch = encode(tiny("bert"), TEXTS)
    original = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    model, _, _ = build(tiny("bert"), {**LORA, "init_lora_weights": "pissa"})
    torch.testing.assert_close(logits(model, batch), original, atol=1e-4, rtol=1e-4)
    with model.disable_adapter():
        assert (logits(model, batch) - original).abs().max() > 1e-2


@pytest.mark.parametrize("init", ["pissa", "olora"])
def test_what_moves_the_base_is_saved_as_a_lora_of_the_untouched_base(
    init: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L8) So the artifact needs no altered base; its rank is twice as high."""
    strategy = {**LORA, "init_lora_weights": init}
    run = short_tune(tiny("bert"), sentiment, strategy, tmp_path / "run")
    settings = json.loads((run.model / "adapter_config.json").read_text(encoding="utf-8"))
    assert run.results["proof"]["reloaded_difference"] < 1e-4
    assert settings["init_lora_weights"] is True
    assert settings["r"] == 8
    model: Any = load_artifact(run.model).model
    start: Any
    start, anatomy, _ = build(tiny("bert"), {"type": "full"})
    for block in anatomy.blocks:
        for linear in block.linears:
            base = model.base_model.model.get_submodule(linear).base_layer
            assert torch.equal(base.weight, start.get_submodule(linear).weight)


def dora_parts(layer: Any) -> tuple[Any, Any, Any]:
    return (layer.lora_magnitude_vector["default"].weight, *factors(layer))


def test_a_fresh_dora_equals_the_base(tiny: Any) -> None:
    """(L9) Its magnitudes are the norms of the weight's output rows."""
    batch = encode(tiny("bert"), TEXTS)
    model, _, _ = build(tiny("bert"), {**LORA, "use_dora": True})
    base = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    torch.testing.assert_close(logits(model, batch), base, atol=1e-5, rtol=1e-5)
    for layer in lora_layers(model):
        magnitude, _, _ = dora_parts(layer)
        torch.testing.assert_close(magnitude, layer.base_layer.weight.norm(dim=1))
        assert magnitude.requires_grad


def test_doras_norm_is_a_constant_to_the_gradient(tiny: Any) -> None:
    """(L9) Gradients are those of m · V / |V| with |V| held fixed, not of the quotient."""
    model, anatomy, _ = build(tiny("bert"), {**LORA, "use_dora": True})
    layer = stir(model).base_model.model.get_submodule(anatomy.blocks[0].linears[0])
    x = torch.randn(7, 32)
    layer(x).square().sum().backward()
    found = [part.grad.clone() for part in dora_parts(layer)]
    for detached, agrees in ((True, True), (False, False)):
        parts: list[Any] = [part.detach().clone().requires_grad_() for part in dora_parts(layer)]
        magnitude, a, b = parts
        direction = layer.base_layer.weight + 1.5 * b @ a
        norm = direction.norm(dim=1)
        norm = norm.detach() if detached else norm
        y = x @ (direction * (magnitude / norm).unsqueeze(1)).T + layer.base_layer.bias
        y.square().sum().backward()
        same = [
            torch.allclose(ours, part.grad, rtol=1e-3, atol=1e-4)
            for ours, part in zip(found, parts, strict=True)
        ]
        assert same == [True, agrees, agrees]


def test_lora_plus_raises_the_rate_of_b_alone(tiny: Any) -> None:
    """(L10) Not that of A, nor that of the head."""
    values = {**LORA, "loraplus_lr_ratio": 16, "head_learning_rate_scale": 3}
    model, anatomy, strategy = build(tiny("bert"), values)
    rates = {
        id(parameter): group.learning_rate_scale
        for group in strategy.parameter_groups(model, anatomy)
        for parameter in group.parameters
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            wanted = 16 if ".lora_B." in name else 1 if ".lora_A." in name else 3
            assert rates.pop(id(parameter)) == wanted, name
    assert not rates


def test_lora_plus_raises_the_same_rates_as_peft(tiny: Any) -> None:
    """(L10) PEFT's own optimizer, asked for the same ratio."""
    from peft.optimizers import create_loraplus_optimizer

    model, anatomy, strategy = build(tiny("bert"), {**LORA, "loraplus_lr_ratio": 16})
    theirs = create_loraplus_optimizer(
        model, torch.optim.AdamW, lr=1.0, loraplus_lr_ratio=16, loraplus_weight_decay=0.0
    )
    factors_of = {id(p): n for n, p in model.named_parameters() if ".lora_" in n}
    peft = {
        factors_of[id(parameter)]: group["lr"]
        for group in theirs.param_groups
        for parameter in group["params"]
        if id(parameter) in factors_of
    }
    ours = {
        factors_of[id(parameter)]: group.learning_rate_scale
        for group in strategy.parameter_groups(model, anatomy)
        for parameter in group.parameters
        if id(parameter) in factors_of
    }
    assert ours == peft
    assert set(ours.values()) == {1.0, 16.0}


def test_a_fresh_lora_of_embeddings_starts_the_other_way_round(tiny: Any) -> None:
    """(L10) There A is zero and B is drawn; so at first only A has a gradient."""
    batch = encode(tiny("bert"), TEXTS)
    model, anatomy, _ = build(tiny("bert"), {**LORA, "target_modules": r".*word_embeddings"})
    layer = model.base_model.model.get_submodule(anatomy.word_embeddings)
    a, b = layer.lora_embedding_A["default"], layer.lora_embedding_B["default"]
    assert not a.any() and b.all()
    assert torch.equal(
        logits(model, batch), logits(build(tiny("bert"), {"type": "full"})[0], batch)
    )
    model(**batch).logits.square().sum().backward()
    assert a.grad.any() and not b.grad.any()


@pytest.mark.parametrize(
    "extra",
    [
        {"init_lora_weights": "pissa"},
        {"init_lora_weights": "olora"},
        {"use_dora": True},
        {"use_rslora": True},
        {"loraplus_lr_ratio": 8},
        {"target_modules": ["query", "value"]},
        {"target_modules": r".*layer\.[23]\..*(query|value)"},
    ],
    ids=str,
)
def test_every_kind_of_lora_trains_proves_itself_and_merges(
    extra: dict[str, Any], tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L4, L8, L9) From the config to a plain model."""
    from transformers import AutoModelForSequenceClassification

    run = short_tune(
        tiny("bert"), sentiment, {**LORA, **extra}, tmp_path / "run", task={"pooling": "model"}
    )
    proof = run.results["proof"]
    assert proof["trainable_moved"] == proof["trainable_weights"] > 0
    target = export_run(run.folder, "plain", tmp_path / "plain")
    plain = AutoModelForSequenceClassification.from_pretrained(target)
    batch = encode(tiny("bert"), TEXTS)
    tuned = logits(load_artifact(run.model).model, batch)
    torch.testing.assert_close(logits(plain, batch), tuned, atol=2e-5, rtol=1e-4)


def test_a_bfloat16_base_stays_so_while_what_trains_is_float32(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L4) Half precision cannot hold small updates."""
    model = {"name": tiny("llama"), "dtype": "bfloat16"}
    job = job_for(model, sentiment, LORA)
    for name, parameter in job.model.named_parameters():
        wanted = torch.float32 if parameter.requires_grad else torch.bfloat16
        assert parameter.dtype == wanted, name
    run = short_tune(model, sentiment, LORA, tmp_path / "run", training={"precision": "auto"})
    assert run.results["proof"]["frozen_moved"] == 0
    saved = load_file(run.model / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}


def test_a_target_that_names_no_linear_layer_is_refused_with_those_there_are(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L5) Before any weight is loaded."""
    strategy = {**LORA, "target_modules": ["q_proj"]}
    with refused("strategy.target_module_unknown", name="q_proj") as caught:
        short_tune(tiny("bert"), sentiment, strategy, tmp_path / "run")
    assert "attention.self.query" in caught.value.faults[0].values["known"]


def test_an_option_that_peft_does_not_know_is_refused_with_the_nearest(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(L3) All that PEFT knows may be written."""
    with refused("config.key_unknown", key="strategy.layer_to_transform"):
        short_tune(tiny("bert"), sentiment, {**LORA, "layer_to_transform": 1}, tmp_path / "run")


@pytest.mark.parametrize("init", [True, "pissa"])
def test_untouched_it_computes_as_the_pretrained_model(init: Any, tiny: Any) -> None:
    """(L8) PiSSA's base alone does not: there the factors have to stay switched on."""
    batch = encode(tiny("bert"), TEXTS)
    model, _, strategy = build(tiny("bert"), {**LORA, "init_lora_weights": init})
    base = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    training = [parameter.requires_grad for parameter in model.parameters()]
    with strategy.base_model(model):
        torch.testing.assert_close(logits(model, batch), base, atol=1e-4, rtol=1e-4)
    assert training == [parameter.requires_grad for parameter in model.parameters()]
    with model.disable_adapter():
        alone = logits(model, batch)
    assert torch.allclose(alone, base, atol=1e-3) == (init is True)
