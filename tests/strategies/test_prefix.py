"""Prefix tuning, held against attention computed by hand and against PEFT's prefixes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import support
from support import build, encode, logits, make_config, make_rows, strategy_of
from welltuned.models.compat.transformers_api import recompute_activations
from welltuned.strategies.peft_methods import prefix

LENGTH = 5
PREFIX: dict[str, Any] = {"type": "prefix", "num_virtual_tokens": LENGTH}
FROM_TEXT: dict[str, Any] = {**PREFIX, "init": "text"}
TEXTS = [row["text"] for row in make_rows(6, seed=5)]


def parts_of(model: nn.Module) -> list[prefix.PrefixParameters]:
    return [module for module in model.modules() if isinstance(module, prefix.PrefixParameters)]


def stir(model: nn.Module) -> Any:
    torch.manual_seed(1)
    for part in parts_of(model):
        nn.init.normal_(part.keys)
        nn.init.normal_(part.values)
    return model


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, torch.Tensor]]]:
    """`watch()`: from now on, what each attention call is given and what it answers."""

    def start() -> list[dict[str, torch.Tensor]]:
        calls: list[dict[str, torch.Tensor]] = []

        def attend(
            module: Any, query: Any, key: Any, value: Any, mask: Any, **rest: Any
        ) -> tuple[torch.Tensor, None]:
            output, _ = prefix.attend_with_prefix(module, query, key, value, mask, **rest)
            calls.append({"query": query, "key": key, "value": value, "output": output})
            return output, None

        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, prefix.ATTENTION, attend)
        return calls

    return start


def attend_by_hand(
    call: dict[str, torch.Tensor],
    keys: torch.Tensor,
    values: torch.Tensor,
    real_BT: torch.Tensor,
    causal: bool,
) -> torch.Tensor:
    """Number by number: each real token over the whole prefix and the real tokens it may see."""
    query, key, value = call["query"], call["key"], call["value"]
    rows, heads, length, size = query.shape
    group = heads // key.shape[1]
    output = torch.zeros(rows, length, heads, size)
    for row in range(rows):
        for head in range(heads):
            kept = head // group
            for place in range(length):
                seen = [j for j in range(length) if real_BT[row, j] and (j <= place or not causal)]
                all_keys = torch.cat([keys[kept], key[row, kept, seen]])
                all_values = torch.cat([values[kept], value[row, kept, seen]])
                scores = all_keys @ query[row, head, place] / math.sqrt(size)
                output[row, place, head] = scores.softmax(0) @ all_values
    return output


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_attention_with_a_prefix_is_attention_done_by_hand(
    side: str, family: str, tiny: Any, watch: Any
) -> None:
    """(P1, P5, P7) In every block, padding on either side, key heads shared or not."""
    model, anatomy, _ = build(tiny(family), PREFIX)
    batch = encode(tiny(family), TEXTS[:3], side)
    calls = watch()
    logits(stir(model), batch)
    parts = parts_of(model)
    assert len(calls) == len(parts) == anatomy.num_blocks
    real = batch["attention_mask"].bool()
    for call, part in zip(calls, parts, strict=True):
        keys, values = part.keys.detach(), part.values.detach()
        wanted = attend_by_hand(call, keys, values, real, anatomy.kind == "decoder")
        torch.testing.assert_close(call["output"][real], wanted[real], atol=1e-5, rtol=1e-4)


def test_a_zero_prefix_takes_its_share_of_attention(tiny: Any, watch: Any) -> None:
    """(P1) A score of 0 counts as exp(0) each; so what the text gets shrinks by that share."""
    model, _, _ = build(tiny("bert"), PREFIX)
    batch = encode(tiny("bert"), TEXTS[:1])
    calls = watch()
    for part in parts_of(model):
        part.keys.data.zero_()
        part.values.data.zero_()
    zero = logits(model, batch)
    with_prefix = calls[0]
    calls.clear()
    with model.disable_adapter():
        base = logits(model, batch)
    scores = with_prefix["query"] @ with_prefix["key"].transpose(2, 3) / math.sqrt(8)
    mass = scores.exp().sum(-1)
    share = (mass / (mass + LENGTH)).transpose(1, 2).unsqueeze(-1)
    torch.testing.assert_close(with_prefix["output"], calls[0]["output"] * share)
    assert (zero - base).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_switched_off_it_is_the_base(family: str, tiny: Any) -> None:
    """(P1) Only the switch is a no-op; a zero prefix is none."""
    batch = encode(tiny(family), TEXTS)
    base = logits(build(tiny(family), {"type": "full"})[0], batch)
    model = stir(build(tiny(family), PREFIX)[0])
    assert (logits(model, batch) - base).abs().max() > 1e-3
    with model.disable_adapter():
        torch.testing.assert_close(logits(model, batch), base, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_the_projection_is_dropped_after_training_and_no_answer_changes(
    family: str, tiny: Any
) -> None:
    """(P2) Only keys and values are left to save."""
    values = {**PREFIX, "prefix_projection": True, "encoder_hidden_size": 16}
    model, _, strategy = build(tiny(family), values)
    for part in parts_of(model):
        assert part.projection is not None
        last: Any = part.projection[-1]
        nn.init.normal_(last.weight)
    batch = encode(tiny(family), TEXTS)
    before = logits(model, batch)
    strategy.finish(model)
    torch.testing.assert_close(logits(model, batch), before, atol=1e-6, rtol=1e-6)
    names = {name.split(".")[-1] for name, _ in model.named_parameters() if "prefix_parts" in name}
    assert names == {"keys", "values"}
    assert model.peft_config["default"].prefix_projection is False


def test_dropping_the_projection_drops_no_prefix_by_dropout(tiny: Any) -> None:
    """(P2) Even in the middle of training."""
    values = {**PREFIX, "prefix_projection": True, "prefix_dropout": 0.5}
    model, _, strategy = build(tiny("bert"), values)
    parts = parts_of(model.eval())
    wanted = [part.states() for part in parts]
    strategy.finish(model.train())
    for part, (keys, states) in zip(parts, wanted, strict=True):
        assert torch.equal(part.keys, keys) and torch.equal(part.values, states)
        assert part.training


@pytest.mark.parametrize("family", ["bert", "llama", "modernbert"])
def test_the_mask_covers_prefix_and_text(
    family: str, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(P3) P + T wide, and open wherever the prefix stands."""
    masks: list[torch.Tensor] = []
    real: Any = functional.scaled_dot_product_attention

    def note(*args: Any, attn_mask: Any = None, **kwargs: Any) -> torch.Tensor:
        masks.append(attn_mask)
        return real(*args, attn_mask=attn_mask, **kwargs)

    batch = encode(tiny(family), TEXTS)
    model = build(tiny(family), PREFIX)[0]
    monkeypatch.setattr(functional, "scaled_dot_product_attention", note)
    logits(model, batch)
    assert len(masks) == 4
    for mask in masks:
        assert mask.shape[-1] == LENGTH + batch["input_ids"].shape[1]
        assert mask.dtype == torch.bool and mask[..., :LENGTH].all()


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_real_tokens_keep_their_positions(family: str, tiny: Any) -> None:
    """(P4) The prefix takes none."""
    with_prefix, without = (
        positions_of(build(tiny(family), strategy)[0], encode(tiny(family), TEXTS))
        for strategy in (PREFIX, {"type": "full"})
    )
    assert torch.equal(with_prefix, without)


def test_pefts_prefix_shifts_positions(tiny: Any) -> None:
    """(P4) The difference: its real tokens are numbered from P on."""
    batch = encode(tiny("bert"), TEXTS[:1])
    shifted = positions_of(pefts("bert"), batch)
    assert shifted.tolist() == [list(range(LENGTH, LENGTH + batch["input_ids"].shape[1]))]


def positions_of(model: nn.Module, batch: dict[str, Any]) -> torch.Tensor:
    """The numbers by which position embeddings are looked up."""
    seen: list[torch.Tensor] = []
    for name, module in model.named_modules():
        if name.endswith(("position_embeddings", "wpe")):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits(model, batch)
    return seen[0]


def pefts(family: str) -> Any:
    """A model with PEFT's own prefixes."""
    from peft import PrefixTuningConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(make_config(family))
    config = PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=LENGTH)
    return get_peft_model(model, config).eval()


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_a_text_of_full_length_fits(family: str, tiny: Any) -> None:
    """(P4) PEFT's takes 64 - P tokens at most."""
    ids = torch.randint(6, 40, (2, 64))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    assert logits(build(tiny(family), PREFIX)[0], batch).isfinite().all()
    assert strategy_of(PREFIX).input_positions == 0
    if family == "bert":
        with pytest.raises(RuntimeError, match="must match the existing size"):
            logits(pefts(family), batch)


@pytest.mark.parametrize(
    ("family", "shape"),
    [("bert", (4, 5, 8)), ("llama", (2, 5, 8)), ("gemma", (2, 5, 16)), ("gpt2", (4, 5, 8))],
)
def test_there_are_as_many_keys_as_key_heads(
    family: str, shape: tuple[int, ...], tiny: Any
) -> None:
    """(P5) Not as many as heads; of the size the family gives them."""
    parts = parts_of(build(tiny(family), PREFIX)[0])
    assert len(parts) == 4
    assert {tuple(tensor.shape) for part in parts for tensor in part.states()} == {shape}


def test_pefts_prefix_does_not_work_with_checkpointing(tiny: Any) -> None:
    """(P6) The difference: ours does (see test_checkpointing)."""
    from peft import PrefixTuningConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(make_config("bert"))
    recompute_activations(model)
    config = PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=LENGTH)
    with pytest.raises(ValueError, match="does not work with gradient checkpointing"):
        get_peft_model(model, config)


@pytest.mark.parametrize("family", ["bert", "modernbert", "llama"])
def test_a_batch_without_padding_needs_no_mask(family: str, tiny: Any) -> None:
    """(P7) With one of ones, or none at all, the answer is the same."""
    batch = encode(tiny(family), TEXTS[:1])
    model = stir(build(tiny(family), PREFIX)[0])
    masked = logits(model, batch)
    torch.testing.assert_close(logits(model, {**batch, "attention_mask": None}), masked)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_text_init_begins_as_a_text_that_stands_before_the_input(
    family: str, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """(P1) A decoder with rotary positions answers as if it had read that text first."""
    row = make_rows(1)[0]
    monkeypatch.setattr(support, "make_rows", lambda count: [row] * count)
    model, _, _ = build(tiny(family), PREFIX, pooling="last")
    learned = encode(tiny(family), [" ".join([row["text"]] * LENGTH)])["input_ids"][:, :LENGTH]
    batch = encode(tiny(family), TEXTS[:1])
    both = torch.cat([learned, batch["input_ids"]], dim=1)
    with model.disable_adapter():
        wanted = logits(model, {"input_ids": both, "attention_mask": torch.ones_like(both)})
        without = logits(model, batch)
    torch.testing.assert_close(logits(model, batch), wanted, atol=1e-5, rtol=1e-4)
    assert (without - wanted).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_text_init_takes_keys_and_values_of_one_text(family: str, tiny: Any, watch: Any) -> None:
    """(P1) Those the model itself computes, numbered from 0 where no number may be negative."""
    calls = watch()
    model, _, _ = build(tiny(family), FROM_TEXT)
    started = calls[:4]
    for call, part in zip(started, parts_of(model), strict=True):
        keys, values = part.states()
        assert call["key"].shape == (1, 4, LENGTH, 8)
        assert torch.equal(keys, call["key"][0]) and torch.equal(values, call["value"][0])
        assert len(keys[0].unique(dim=0)) == LENGTH


def test_auto_begins_with_text_for_decoders_and_with_noise_for_encoders(tiny: Any) -> None:
    for family, wanted in (("bert", "random"), ("llama", "text")):
        auto, same = (
            parts_of(build(tiny(family), values)[0])[0].keys
            for values in (PREFIX, {**PREFIX, "init": wanted})
        )
        assert torch.equal(auto, same)


@pytest.mark.parametrize("family", ["bert", "modernbert", "llama"])
def test_a_prefix_longer_than_all_texts_repeats_their_tokens(family: str, tiny: Any) -> None:
    """(T3) As a prompt does; and where it is longer than the model can read, in pieces."""
    model, _, _ = build(tiny(family), {**FROM_TEXT, "num_virtual_tokens": 600})
    part = parts_of(model)[0]
    assert part.keys.shape[1:] == (600, 8)
    assert part.keys.any(dim=2).all()


@pytest.mark.parametrize("projection", [False, True])
def test_random_init_depends_on_the_seed_alone(projection: bool, tiny: Any) -> None:
    """(P1) And is not zero."""
    values = {**PREFIX, "init": "random", "prefix_projection": projection}
    first, again, other = (
        parts_of(build(tiny("bert"), values, seed=seed)[0])[0].states() for seed in (1, 1, 2)
    )
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert first[0].any() and first[1].any()


@pytest.mark.parametrize("family", support.ENCODER_DECODERS)
def test_in_two_stacks_each_self_attention_has_a_prefix_and_none_to_the_encoder(
    family: str, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bias of positions, as T5 has it, is added to the scores of the text alone."""
    support.require_prefix(family)
    model, anatomy, _ = build(tiny(family), PREFIX, "model")
    batch = encode(tiny(family), TEXTS[:3])
    found: list[tuple[Any, ...]] = []

    def attend(
        module: Any, query: Any, key: Any, value: Any, mask: Any, **rest: Any
    ) -> tuple[torch.Tensor, None]:
        output, _ = prefix.attend_with_prefix(module, query, key, value, mask, **rest)
        states = module.__dict__.get("welltuned_prefix")
        found.append((states, query, key, value, mask, rest, output))
        return output, None

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, prefix.ATTENTION, attend)
    logits(stir(model), batch)
    assert len(found) == 2 + 2 * 3 and len(parts_of(model)) == anatomy.num_blocks == 5
    assert sum(states is not None for states, *_ in found) == 5
    for states, query, key, value, mask, rest, output in found:
        scores = query @ key.transpose(2, 3) * rest["scaling"]
        if (bias := rest.get("position_bias")) is not None:
            scores = scores + bias
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        if states is not None:
            keys, values = (part.detach().expand(3, -1, -1, -1) for part in states)
            scores = torch.cat([query @ keys.transpose(2, 3) * rest["scaling"], scores], dim=3)
            value = torch.cat([values, value], dim=2)
        wanted = (scores.softmax(-1) @ value).transpose(1, 2)
        torch.testing.assert_close(output, wanted, atol=1e-5, rtol=1e-4)


def test_no_text_stands_before_the_decoder_of_an_encoder_decoder(tiny: Any) -> None:
    support.require_prefix("t5")
    _, anatomy, _ = build(tiny("t5"), PREFIX, "model")
    (fault,) = strategy_of(FROM_TEXT).check(anatomy)
    assert fault.code == "strategy.prefix_text_unsupported"
    assert not list(strategy_of(PREFIX).check(anatomy))
