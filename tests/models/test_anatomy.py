"""Where things are inside models of every family, and which families are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from faults import refused
from support import DECODERS, ENCODER_DECODERS, ENCODERS, FAMILIES, build, make_config
from welltuned.models.anatomy import Anatomy, examine_anatomy, position_offset
from welltuned.models.block_stacks import Block
from welltuned.models.loading import Head, build_skeleton

BLOCKS = {
    "bert": "bert.encoder.layer",
    "roberta": "roberta.encoder.layer",
    "distilbert": "distilbert.transformer.layer",
    "electra": "electra.encoder.layer",
    "deberta-v2": "deberta.encoder.layer",
    "modernbert": "model.layers",
    "gpt2": "transformer.h",
    **dict.fromkeys(("llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2"), "model.layers"),
}
HEADS = {
    "bert": {"classifier"},
    "roberta": {"classifier"},
    "distilbert": {"pre_classifier", "classifier"},
    "electra": {"classifier"},
    "deberta-v2": {"pooler", "classifier"},
    "modernbert": {"head", "classifier"},
    **{family: {"score"} for family in DECODERS},
}
OWN_NORM = {
    "modernbert": "model.final_norm",
    "gpt2": "transformer.ln_f",
    **{family: "model.norm" for family in DECODERS if family != "gpt2"},
}
each = pytest.mark.parametrize("family", FAMILIES)


def anatomy_of(family: str, **changes: Any) -> Anatomy:
    from transformers import AutoModelForSequenceClassification

    config = make_config(family, **{"num_labels": 2, **changes})
    if config.pad_token_id is None:
        config.pad_token_id = 0
    return examine_anatomy(build_skeleton(Head(AutoModelForSequenceClassification, config)))


@each
def test_the_blocks_are_found_bottom_first(family: str) -> None:
    anatomy = anatomy_of(family)
    assert [block.name for block in anatomy.blocks] == [f"{BLOCKS[family]}.{i}" for i in range(4)]
    assert anatomy.num_blocks == 4
    assert anatomy.kind == ("encoder" if family in ENCODERS else "decoder")
    assert anatomy.hidden_size == 32


@each
def test_head_pooler_and_final_norm_are_told_apart(family: str) -> None:
    anatomy = anatomy_of(family)
    assert set(anatomy.head) == HEADS[family]
    assert anatomy.pooler == (("bert.pooler",) if family == "bert" else ())
    assert anatomy.final == ((OWN_NORM[family],) if family in OWN_NORM else ())


@each
def test_every_weight_has_a_depth_and_every_depth_has_weights(family: str, tiny: Any) -> None:
    model, anatomy, _ = build(tiny(family), {"type": "full"}, "model")
    found: dict[int, list[str]] = {}
    for name, _ in model.named_parameters():
        found.setdefault(anatomy.depth(name), []).append(name)
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    for name in found[0]:
        assert name.split(".")[0] in HEADS[family] or name.startswith("bert.pooler."), name
    for i in range(4):
        inside = [name for name in found[4 - i] if name not in final_of(anatomy, found[1])]
        assert all(name.startswith(f"{BLOCKS[family]}.{i}.") for name in inside)
    assert not any(BLOCKS[family] in name for name in found[5])
    assert any(name.startswith(anatomy.word_embeddings) for name in found[5])


def final_of(anatomy: Anatomy, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(tuple(f"{f}." for f in anatomy.final))]


def test_depths_have_names_for_people() -> None:
    anatomy = anatomy_of("bert")
    regions = [anatomy.region(depth) for depth in range(6)]
    assert regions == ["head", "block 3", "block 2", "block 1", "block 0", "embeddings"]


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("bert.encoder.layer.1.output.dense.weight", 3),
        ("base_model.model.bert.encoder.layer.1.output.dense.lora_A.default.weight", 3),
        ("base_model.model.bert.encoder.layer.1.output.dense.base_layer.weight", 3),
        ("base_model.model.bert.base_layer.encoder.layer.1.output.dense.weight", 3),
        ("base_model.model.classifier.modules_to_save.default.weight", 0),
        ("base_model.model.classifier.original_module.weight", 0),
        ("base_model.model.bert.pooler.modules_to_save.default.dense.weight", 0),
        ("base_model.model.bert.prompt_parts.default.embeddings", 5),
        ("bert.encoder.layer.12.output.dense.weight", 5),
        ("classifier_two.weight", 5),
    ],
)
def test_names_that_peft_has_decorated_are_understood(name: str, depth: int) -> None:
    assert anatomy_of("bert").depth(name) == depth


@each
def test_linear_layers_are_listed_in_the_order_of_their_calls(family: str, tiny: Any) -> None:
    model, anatomy, _ = build(tiny(family), {"type": "full"})
    from transformers.pytorch_utils import Conv1D

    for block in anatomy.blocks:
        inside = {
            f"{block.name}.{name}"
            for name, module in model.get_submodule(block.name).named_modules()
            if isinstance(module, (nn.Linear, Conv1D))
        }
        assert set(block.linears) == inside
        assert len(block.linears) == len(inside)


@pytest.mark.parametrize(
    ("family", "writes", "reads", "last"),
    [
        ("bert", "attention.output.dense", "intermediate.dense", "output.dense"),
        ("distilbert", "attention.out_lin", "ffn.lin1", "ffn.lin2"),
        ("modernbert", "attn.Wo", "mlp.Wi", "mlp.Wo"),
        ("gpt2", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
        ("llama", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"),
        ("gemma2", "self_attn.o_proj", "mlp.gate_proj", "mlp.down_proj"),
    ],
)
def test_the_sublayers_ends_are_known(family: str, writes: str, reads: str, last: str) -> None:
    for block in anatomy_of(family).blocks:
        assert block.attention_output == f"{block.name}.{writes}"
        assert block.feed_forward_input == f"{block.name}.{reads}"
        assert block.feed_forward_output == f"{block.name}.{last}"


@pytest.mark.parametrize(
    ("family", "attention", "shape"),
    [
        ("bert", "attention.self", (4, 8)),
        ("gpt2", "attn", (4, 8)),
        ("llama", "self_attn", (2, 8)),
        ("gemma", "self_attn", (2, 16)),
        ("deberta-v2", None, (0, 0)),
    ],
)
def test_who_attends_is_known_by_watching(
    family: str, attention: str | None, shape: tuple[int, int]
) -> None:
    for block in anatomy_of(family).blocks:
        assert block.attention == (attention and f"{block.name}.{attention}")
        assert block.key_shape == shape


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("bert", ["attention.output.LayerNorm", "output.LayerNorm"]),
        ("gpt2", ["ln_1", "ln_2"]),
        ("llama", ["input_layernorm", "post_attention_layernorm"]),
    ],
)
def test_norms_of_a_block_are_its_modules_of_vectors(family: str, names: list[str]) -> None:
    for block in anatomy_of(family).blocks:
        assert list(block.norms) == [f"{block.name}.{name}" for name in names]


@pytest.mark.parametrize(
    ("family", "length", "offset"),
    [("bert", 64, 0), ("roberta", 64, 2), ("gpt2", 64, 0), ("llama", 64, 0)],
)
def test_the_longest_input_counts_what_the_family_keeps_for_padding(
    family: str, length: int, offset: int
) -> None:
    from transformers import AutoModel

    assert anatomy_of(family).max_length == length
    with torch.device("meta"):
        assert position_offset(AutoModel.from_config(make_config(family))) == offset


def test_weights_are_counted_without_any_being_made() -> None:
    from transformers import AutoModelForSequenceClassification

    config = make_config("bert", num_labels=2)
    head = Head(AutoModelForSequenceClassification, config)
    assert {parameter.device.type for parameter in build_skeleton(head).parameters()} == {"meta"}
    real = AutoModelForSequenceClassification.from_config(config)
    assert anatomy_of("bert").parameters == sum(p.numel() for p in real.parameters())


def test_looking_leaves_the_config_as_it_was() -> None:
    from transformers import AutoModelForSequenceClassification

    config = make_config("bert", num_labels=2)
    skeleton = build_skeleton(Head(AutoModelForSequenceClassification, config))
    examine_anatomy(skeleton)
    assert skeleton.config.pad_token_id == 0
    assert not any(module._forward_hooks for module in skeleton.modules())


@pytest.mark.parametrize("groups", [1, 2])
def test_layers_that_share_weights_are_told_from_blocks(groups: int) -> None:
    anatomy = anatomy_of("albert", num_hidden_groups=groups)
    assert (anatomy.num_blocks, anatomy.shared_layers, anatomy.num_layers) == (groups, 4, 4)
    assert anatomy.pooler == ("albert.pooler",) and anatomy.head == ("classifier",)
    assert anatomy_of("bert").shared_layers is None


def test_a_config_that_tells_of_other_layers_than_there_are_is_refused() -> None:
    from transformers import AutoModelForSequenceClassification

    head = Head(AutoModelForSequenceClassification, make_config("bert", num_labels=2))
    skeleton: Any = build_skeleton(head)
    skeleton.bert.encoder.layer = skeleton.bert.encoder.layer[:3]
    with refused("model.blocks_differ", layers=4, found=3):
        examine_anatomy(skeleton)


def language_model(family: str) -> Anatomy:
    from transformers import AutoModelForSeq2SeqLM

    return examine_anatomy(build_skeleton(Head(AutoModelForSeq2SeqLM, make_config(family))), False)


@pytest.mark.parametrize(("family", "trunk"), [("t5", ""), ("bart", "model.")])
def test_an_encoder_lies_below_its_decoder(family: str, trunk: str) -> None:
    anatomy = language_model(family)
    assert anatomy.kind == "encoder-decoder" and anatomy.num_blocks == 5
    assert [anatomy.region(depth) for depth in range(1, 7)] == [
        *("decoder block 2", "decoder block 1", "decoder block 0"),
        *("encoder block 1", "encoder block 0", "embeddings"),
    ]
    names = [anatomy.blocks[-depth].name for depth in range(1, 6)]
    assert [anatomy.depth(f"{name}.weight") for name in names] == [1, 2, 3, 4, 5]
    assert names[0].startswith(f"{trunk}decoder.") and names[4].startswith(f"{trunk}encoder.")
    for name in (f"{trunk}shared.weight", "lm_head.weight", f"{trunk}decoder.embed_positions"):
        assert anatomy.depth(name) == 6, name


def test_each_stack_has_its_own_final_norm() -> None:
    anatomy = language_model("t5")
    assert anatomy.final == ("decoder.final_layer_norm",) and anatomy.pooler == ()
    assert anatomy.depth("decoder.final_layer_norm.weight") == 1
    assert anatomy.depth("encoder.final_layer_norm.weight") == 4


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_what_reads_a_text_is_the_encoder_alone(family: str) -> None:
    whole = anatomy_of(family)
    reading = whole.reading
    assert (reading.kind, reading.num_blocks, whole.num_layers) == ("encoder", 2, 2)
    assert whole.encoder is not None
    assert reading.trunk == whole.encoder.name and reading.encoder is None
    assert reading.depth(f"{whole.blocks[0].name}.weight") == 2
    assert reading.depth(f"{whole.blocks[2].name}.weight") == 0, "the decoder is head to it"
    assert reading.depth("classification_head.dense.weight") == 0
    bert = anatomy_of("bert")
    assert bert.reading is bert


def test_a_model_without_a_stack_of_blocks_is_refused() -> None:
    from transformers import AutoModelForSequenceClassification

    skeleton: Any = build_skeleton(
        Head(AutoModelForSequenceClassification, make_config("bert", num_labels=2))
    )
    skeleton.bert.encoder.layer = nn.Identity()
    with refused("model.no_blocks"):
        examine_anatomy(skeleton)


def test_a_block_is_a_plain_value() -> None:
    block = anatomy_of("bert").blocks[0]
    assert block == Block(**vars(block))
    assert block in {block}
