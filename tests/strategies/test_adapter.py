"""Bottleneck adapters, held against blocks computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from support import build, encode, logits, make_rows, short_tune
from welltuned.artifact.save_load import load_artifact
from welltuned.models.anatomy import Anatomy
from welltuned.strategies.peft_methods.bottleneck import Bottleneck, BottleneckLayer

TEXTS = [row["text"] for row in make_rows(6, seed=5)]
ADAPTER: dict[str, Any] = {"type": "adapter", "reduction_factor": 8}
PLACEMENTS = ["houlsby", "pfeiffer", "parallel"]


def parts_of(model: nn.Module) -> list[Bottleneck]:
    return [module for module in model.modules() if isinstance(module, Bottleneck)]


def stir(model: nn.Module) -> Any:
    torch.manual_seed(1)
    for part in parts_of(model):
        for parameter in part.parameters():
            nn.init.normal_(parameter, std=0.3)
    return model.eval()


def by_hand(part: Bottleneck, x: torch.Tensor) -> torch.Tensor:
    hidden = functional.gelu(x @ part.down.T + part.down_bias)
    return part.scale * (hidden @ part.up.T + part.up_bias)


def blocks_of(model: Any, anatomy: Anatomy) -> list[Any]:
    return [model.base_model.model.get_submodule(block.name) for block in anatomy.blocks]


@pytest.mark.parametrize(
    ("placement", "targets"),
    [
        ("houlsby", {"attention.output.dense", "output.dense"}),
        ("pfeiffer", {"output.dense"}),
        ("parallel", {"output.dense"}),
    ],
)
def test_adapters_stand_where_the_papers_put_them(
    placement: str, targets: set[str], tiny: Any
) -> None:
    """(Adapters) In every block."""
    model, anatomy, _ = build(tiny("bert"), {**ADAPTER, "placement": placement})
    for block in blocks_of(model, anatomy):
        found = {n for n, module in block.named_modules() if isinstance(module, BottleneckLayer)}
        assert found == targets


@pytest.mark.parametrize("placement", ["houlsby", "pfeiffer"])
def test_the_adapter_is_inside_the_residual_and_before_the_norm(placement: str, tiny: Any) -> None:
    """(Adapters) LayerNorm(residual + h + adapter(h)), after each sublayer that has one."""
    model, anatomy, _ = build(tiny("bert"), {**ADAPTER, "placement": placement, "scale": 2})
    block = blocks_of(stir(model), anatomy)[0]
    x = torch.randn(2, 7, 32)
    attended = block.attention.self(x)[0]
    dense = block.attention.output.dense
    if placement == "houlsby":
        h = dense.base_layer(attended)
        h = h + by_hand(dense.bottleneck_parts["default"], h)
    else:
        h = dense(attended)
    middle = block.attention.output.LayerNorm(x + h)
    last = block.output.dense
    h = last.base_layer(block.intermediate(middle))
    h = h + by_hand(last.bottleneck_parts["default"], h)
    wanted = block.output.LayerNorm(middle + h)
    torch.testing.assert_close(first(block(x)), wanted, atol=1e-5, rtol=1e-5)


def test_a_parallel_adapter_reads_what_the_feed_forward_reads(tiny: Any) -> None:
    """(Adapters) LayerNorm(x + FFN(x) + 4 · adapter(x))."""
    model, anatomy, _ = build(tiny("bert"), {**ADAPTER, "placement": "parallel", "scale": 4})
    block = blocks_of(stir(model), anatomy)[0]
    x = torch.randn(2, 7, 32)
    middle = block.attention(x)[0]
    inner = functional.gelu(block.intermediate.dense.base_layer(middle))
    last = block.output.dense
    adapted = by_hand(last.bottleneck_parts["default"], middle)
    wanted = block.output.LayerNorm(middle + last.base_layer(inner) + adapted)
    torch.testing.assert_close(first(block(x)), wanted, atol=1e-5, rtol=1e-5)


def first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


@pytest.mark.parametrize("family", ["llama", "gpt2", "modernbert"])
def test_in_a_pre_norm_block_a_parallel_adapter_reads_the_normed_input(
    family: str, tiny: Any
) -> None:
    """(Adapters) The same that the feed-forward sublayer reads there."""
    model, anatomy, _ = build(tiny(family), {**ADAPTER, "placement": "parallel"})
    plain = stir(model).base_model.model
    block = anatomy.blocks[1]
    seen: dict[str, torch.Tensor] = {}
    for name in (str(block.feed_forward_input), str(block.feed_forward_output)):
        plain.get_submodule(name).register_forward_hook(
            lambda _, inputs, output, name=name: seen.update(
                {f"{name} in": inputs[0], f"{name} out": output}
            )
        )
    logits(model, encode(tiny(family), TEXTS))
    writer = plain.get_submodule(str(block.feed_forward_output))
    read = seen[f"{block.feed_forward_input} in"]
    wanted = writer.base_layer(seen[f"{block.feed_forward_output} in"])
    wanted = wanted + by_hand(writer.bottleneck_parts["default"], read)
    torch.testing.assert_close(seen[f"{block.feed_forward_output} out"], wanted)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_starting_from_identity_changes_no_bit(placement: str, tiny: Any) -> None:
    """(Adapters) The upward projection is zero; the downward one is not."""
    batch = encode(tiny("bert"), TEXTS)
    model, _, _ = build(tiny("bert"), {**ADAPTER, "placement": placement})
    base = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    assert torch.equal(logits(model, batch), base)
    for part in parts_of(model):
        assert part.down.all()
        assert not any(zero.any() for zero in (part.up, part.up_bias, part.down_bias))


def test_starting_near_identity_changes_a_little(tiny: Any) -> None:
    """(Adapters) Both projections are N(0, 0.02), as in the paper of Houlsby et al."""
    batch = encode(tiny("bert"), TEXTS)
    values = {**ADAPTER, "init_weights": "near_identity", "reduction_factor": 1}
    model, _, _ = build(tiny("bert"), values)
    base = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    assert 0 < (logits(model, batch) - base).abs().max() < 0.1
    for projection in ("down", "up"):
        drawn = torch.cat([getattr(part, projection).flatten() for part in parts_of(model)])
        assert float(drawn.detach().std()) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(("factor", "size"), [(8, 4), (16, 2), (3, 10), (1000, 1)])
def test_the_bottleneck_is_the_hidden_size_over_the_factor(
    factor: float, size: int, tiny: Any
) -> None:
    """(Adapters) Rounded down, and at least one feature."""
    model, _, _ = build(tiny("bert"), {**ADAPTER, "reduction_factor": factor})
    assert {part.down.shape for part in parts_of(model)} == {(size, 32)}


def test_the_activation_is_the_one_asked_for(tiny: Any) -> None:
    """(Adapters) By transformers' name."""
    model, _, _ = build(tiny("bert"), {**ADAPTER, "non_linearity": "relu"})
    part = parts_of(stir(model))[0]
    x = torch.randn(3, 32)
    torch.testing.assert_close(
        part(x), (x @ part.down.T + part.down_bias).clamp(min=0) @ part.up.T + part.up_bias
    )


def test_dropout_falls_on_what_the_adapter_reads(tiny: Any) -> None:
    """(Adapters) The rest of the sum is whole."""
    model, _, _ = build(tiny("bert"), {**ADAPTER, "dropout": 0.5})
    part = parts_of(stir(model))[0]
    x = torch.randn(3, 32)
    torch.manual_seed(2)
    found = part.train()(x)
    torch.manual_seed(2)
    torch.testing.assert_close(found, by_hand(part, functional.dropout(x, 0.5)))


@pytest.mark.parametrize("norms", [False, True])
def test_layer_norms_train_only_when_asked_to(
    norms: bool, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(Adapters) And are then saved and loaded with the rest."""
    strategy = {**ADAPTER, "train_layer_norm": norms}
    run = short_tune(tiny("bert"), sentiment, strategy, tmp_path / "run")
    saved = load_file(run.model / "adapter_model.safetensors")
    found = {name for name in saved if "LayerNorm" in name}
    assert len(found) == (4 * 2 * 2 if norms else 0)
    assert run.results["proof"]["reloaded_difference"] < 1e-5
    start, _, _ = build(tiny("bert"), {"type": "full"})
    for name in found:
        plain = name.removeprefix("base_model.model.")
        assert not torch.equal(saved[name], start.get_parameter(plain))


def test_only_adapters_and_the_head_train(tiny: Any) -> None:
    """(Adapters) Two projections with biases in two places of four blocks, and the head."""
    model, anatomy, _ = build(tiny("bert"), ADAPTER)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len([name for name in names if ".bottleneck_parts." in name]) == 4 * 2 * 4
    assert len([name for name in names if anatomy.depth(name) == 0]) == 2
    assert len(names) == 34


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_switched_off_it_is_the_base(placement: str, tiny: Any) -> None:
    """(Adapters) Bit for bit; the parallel one's tap too."""
    batch = encode(tiny("bert"), TEXTS)
    model, _, _ = build(tiny("bert"), {**ADAPTER, "placement": placement})
    base = logits(build(tiny("bert"), {"type": "full"})[0], batch)
    assert not torch.equal(logits(stir(model), batch), base)
    with model.disable_adapter():
        assert torch.equal(logits(model, batch), base)


@pytest.mark.parametrize(
    "strategy",
    [ADAPTER, {"type": "prompt"}, {"type": "prefix", "prefix_projection": True}, {"type": "lora"}],
    ids=lambda strategy: strategy["type"],
)
def test_two_artifacts_share_one_base(
    strategy: dict[str, Any], tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(Adapters) Loaded under two names, each answers as it does alone when its turn comes."""
    runs = [
        short_tune(tiny("bert"), sentiment, strategy, tmp_path / str(seed), training={"seed": seed})
        for seed in (0, 1)
    ]
    batch = encode(tiny("bert"), TEXTS)
    alone = [logits(load_artifact(run.model).model, batch) for run in runs]
    both: Any = load_artifact(runs[0].model).model
    both.load_adapter(str(runs[1].model), "other")
    torch.testing.assert_close(logits(both, batch), alone[0])
    both.set_adapter("other")
    torch.testing.assert_close(logits(both, batch), alone[1])
