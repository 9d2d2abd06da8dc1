"""Every strategy where nothing is new: a language model keeps the output layer it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support import STRATEGIES, make_config, make_tokenizer, strategy_of
from welltuned.models.anatomy import Anatomy, examine_anatomy
from welltuned.models.freezing import trainable_table
from welltuned.models.loading import Head, build_skeleton
from welltuned.strategies import Context, Progress

INJECTED = ("lora", "prompt", "prefix", "houlsby", "parallel")
Prepare = Callable[..., tuple[Any, Anatomy, Any]]


@pytest.fixture
def prepare() -> Prepare:
    """`prepare(family, strategy)`: (prepared language model, anatomy, strategy)."""
    from transformers import AutoModelForCausalLM

    def make(family: str, values: dict[str, Any], **changes: Any) -> tuple[Any, Anatomy, Any]:
        config = make_config(family, **changes)
        anatomy = examine_anatomy(
            build_skeleton(Head(AutoModelForCausalLM, config)), new_head=False
        )
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
        texts = [[7, 8, 9, 10], [11, 12, 13]]
        tokenizer = make_tokenizer("decoder", family)
        context = Context(anatomy, tokenizer, family, "CAUSAL_LM", 0, texts)
        chosen = strategy_of(values)
        return chosen.prepare(model, context), anatomy, chosen

    return make


def regions(model: nn.Module, anatomy: Anatomy) -> list[str]:
    """Where something trains, from the top."""
    depths = {
        anatomy.depth(name)
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    return [anatomy.region(depth) for depth in sorted(depths)]


def words(model: Any) -> nn.Parameter:
    return model.get_input_embeddings().weight


def faults(values: dict[str, Any], anatomy: Anatomy) -> str:
    return " ".join(str(fault) for fault in strategy_of(values).check(anatomy))


@pytest.mark.parametrize("strategy", INJECTED)
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_only_what_was_injected_trains_and_is_saved(
    tied: bool, strategy: str, prepare: Prepare, tmp_path: Path
) -> None:
    """(L6) No copy of the output layer beside it, and no embeddings."""
    from safetensors.torch import load_file

    model, anatomy, chosen = prepare("llama", STRATEGIES[strategy], tie_word_embeddings=tied)
    assert not any("modules_to_save" in name for name, _ in model.named_parameters())
    assert not words(model).requires_grad
    assert not model.get_output_embeddings().weight.requires_grad
    training = [p for p in model.parameters() if p.requires_grad]
    grouped = [p for group in chosen.parameter_groups(model, anatomy) for p in group.parameters]
    assert sorted(map(id, grouped)) == sorted(map(id, training))
    chosen.save(model, tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in saved.values()) == sum(p.numel() for p in training)


@pytest.mark.parametrize("family", ["gpt2", "gemma"])
def test_tied_embeddings_count_once_and_train_once(family: str, prepare: Prepare) -> None:
    """(G5) With the embeddings, and at their rate."""
    model, anatomy, chosen = prepare(family, STRATEGIES["full"])
    assert model.lm_head.weight is words(model)
    groups = chosen.parameter_groups(model, anatomy)
    holding = [group for group in groups if any(p is words(model) for p in group.parameters)]
    assert [group.name for group in holding] == ["embeddings"]
    assert holding[0].learning_rate_scale == pytest.approx(0.9**4)
    total = sum(p.numel() for p in model.parameters())
    rows = trainable_table(model, anatomy, model.parameters())
    assert sum(row.parameters for row in rows) == anatomy.parameters == total
    assert sum(p.numel() for group in groups for p in group.parameters) == total


@pytest.mark.parametrize("strategy", ["partial", "gradual", *INJECTED])
@pytest.mark.parametrize("family", ["gpt2", "gemma"])
def test_a_tied_output_layer_is_frozen_with_the_embeddings(
    family: str, strategy: str, prepare: Prepare
) -> None:
    model, anatomy, chosen = prepare(family, STRATEGIES[strategy])
    chosen.advance(model, anatomy, Progress(1.0, 99.0))
    assert model.get_output_embeddings().weight is words(model)
    assert not words(model).requires_grad


def test_an_output_layer_of_its_own_counts_with_the_embeddings(prepare: Prepare) -> None:
    partial = {"type": "partial", "num_blocks": 1}
    model, anatomy, _ = prepare("llama", partial, tie_word_embeddings=False)
    assert anatomy.region(anatomy.depth("lm_head.weight")) == "embeddings"
    assert regions(model, anatomy) == ["block 3"]
    model, anatomy, _ = prepare("llama", {**partial, "embeddings": True}, tie_word_embeddings=False)
    assert regions(model, anatomy) == ["block 3", "embeddings"]
    assert model.lm_head.weight.requires_grad


@pytest.mark.parametrize("kind", ["partial", "gradual"])
def test_no_block_at_all_is_refused(kind: str, prepare: Prepare) -> None:
    """There is no head that could train instead."""
    _, anatomy, _ = prepare("llama", STRATEGIES["full"])
    assert "nothing would train" in faults({"type": kind, "num_blocks": 0}, anatomy)
    assert not faults({"type": kind, "num_blocks": 1}, anatomy)


def test_gradual_begins_with_the_top_block(prepare: Prepare) -> None:
    """(G1) From `prepare` on; then each point of the schedule unfreezes one more."""
    values = {"type": "gradual", "unit": "epoch", "embeddings": True}
    model, anatomy, chosen = prepare("llama", values)
    order = ["block 3", "block 2", "block 1", "block 0", "embeddings"]
    assert regions(model, anatomy) == order[:1]
    for epoch in range(5):
        told = chosen.advance(model, anatomy, Progress(epoch / 5, float(epoch)))
        assert told == (f"unfroze {order[epoch]}" if epoch else None)
        assert regions(model, anatomy) == order[: epoch + 1]


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ({"num_blocks": 3}, [0.25, 0.5]),
        ({"num_blocks": 1}, []),
        ({"num_blocks": 1, "embeddings": True}, [0.5]),
        ({"schedule": [0.1, 0.2, 0.3]}, [0.1, 0.2, 0.3]),
    ],
)
def test_no_point_of_a_gradual_schedule_is_idle(
    values: dict[str, Any], points: list[float], prepare: Prepare
) -> None:
    """(G1) The top block, which trains already, needs none."""
    model, anatomy, chosen = prepare("llama", {"type": "gradual", **values})
    assert chosen.points(anatomy) == points
    assert regions(model, anatomy) == ["block 3"]
    assert all(chosen.advance(model, anatomy, Progress(point, 0.0)) for point in points)


def test_a_gradual_schedule_with_more_points_than_blocks_below_the_top_is_refused(
    prepare: Prepare,
) -> None:
    _, anatomy, _ = prepare("llama", STRATEGIES["full"])
    values = {"type": "gradual", "schedule": [0.1, 0.2, 0.3, 0.4]}
    assert "the top one trains from the start" in faults(values, anatomy)
    assert not faults({**values, "embeddings": True}, anatomy)


@pytest.mark.parametrize("init", ["VOCAB", "RANDOM"])
def test_prompts_begin_at_the_size_of_words_as_the_model_reads_them(
    init: str, prepare: Prepare
) -> None:
    """(T3) Gemma multiplies its embeddings by the root of their width."""
    values = {"type": "prompt", "num_virtual_tokens": 50, "prompt_tuning_init": init}
    model, _, _ = prepare("gemma", values)
    prompt = model.base_model.model.model.prompt_parts["default"].embeddings
    read = model.get_input_embeddings()(torch.arange(7, 14))
    assert read.std() / words(model).std() == pytest.approx(32**0.5, rel=0.1)
    assert prompt.std().item() == pytest.approx(read.std().item(), rel=0.15)
