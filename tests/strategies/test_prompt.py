"""Prompt tuning: what stands where, and that nobody outside the trunk can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from faults import refused
from support import (
    ENCODER_DECODERS,
    build,
    config_values,
    encode,
    logits,
    make_rows,
    short_tune,
)
from welltuned.config import run_config_from
from welltuned.models.anatomy import Anatomy
from welltuned.training.preparation.prepare import prepare

LENGTH = 5
PROMPT: dict[str, Any] = {"type": "prompt", "num_virtual_tokens": LENGTH}
TEXTS = [row["text"] for row in make_rows(6, seed=5)]


def trunk_of(model: Any, anatomy: Anatomy) -> Any:
    return model.base_model.model.get_submodule(anatomy.trunk)


def vectors(model: Any, anatomy: Anatomy) -> torch.Tensor:
    return trunk_of(model, anatomy).prompt_parts["default"].embeddings


def what_the_trunk_reads(
    model: Any, anatomy: Anatomy, batch: dict[str, Any]
) -> dict[str, torch.Tensor]:
    seen: list[dict[str, torch.Tensor]] = []
    base = trunk_of(model, anatomy).base_layer
    base.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True)
    logits(model, batch)
    return seen[0]


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_in_an_encoder_the_prompt_stands_after_the_first_token(family: str, tiny: Any) -> None:
    """(T1) Poolers and heads read index 0: it stays [CLS]."""
    model, anatomy, _ = build(tiny(family), PROMPT)
    batch = encode(tiny(family), TEXTS[:1])
    read = what_the_trunk_reads(model, anatomy, batch)["inputs_embeds"][0]
    words = trunk_of(model, anatomy).get_input_embeddings()(batch["input_ids"][0])
    assert torch.equal(read, torch.cat([words[:1], vectors(model, anatomy), words[1:]]))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_in_a_decoder_the_prompt_stands_in_front(family: str, tiny: Any) -> None:
    """(T1) Its head reads the last token."""
    model, anatomy, _ = build(tiny(family), PROMPT)
    batch = encode(tiny(family), TEXTS[:1])
    read = what_the_trunk_reads(model, anatomy, batch)["inputs_embeds"][0]
    words = trunk_of(model, anatomy).get_input_embeddings()(batch["input_ids"][0])
    assert torch.equal(read, torch.cat([vectors(model, anatomy), words]))


def test_the_pooler_reads_cls_which_has_seen_the_prompt(tiny: Any) -> None:
    """(T1) The same number as BERT gives for [CLS], prompt and text put together by hand."""
    model, anatomy, _ = build(tiny("bert"), PROMPT, pooling="model")
    batch = encode(tiny("bert"), TEXTS[:1])
    found = logits(model, batch)
    plain, _, _ = build(tiny("bert"), {"type": "full"}, pooling="model")
    words = plain.get_input_embeddings()(batch["input_ids"])
    prompt = vectors(model, anatomy).unsqueeze(0)
    together = torch.cat([words[:, :1], prompt, words[:, 1:]], dim=1)
    torch.testing.assert_close(found, logits(plain, {"inputs_embeds": together}))
    in_front = torch.cat([prompt, words], dim=1)
    assert (found - logits(plain, {"inputs_embeds": in_front})).abs().max() > 1e-3


def test_pefts_prompt_puts_a_prompt_where_the_pooler_reads(tiny: Any) -> None:
    """(T1) The difference: PEFT's [CLS] is off index 0, and the head reads the first prompt."""
    from peft import PromptTuningConfig, get_peft_model

    plain, _, _ = build(tiny("bert"), {"type": "full"}, pooling="model")
    words = plain.get_input_embeddings().weight
    config = PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=LENGTH)
    theirs = get_peft_model(plain, config).eval()
    batch = encode(tiny("bert"), TEXTS[:1])
    read: list[torch.Tensor] = []
    plain.bert.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    logits(theirs, batch)
    assert torch.equal(read[0][0, 0], theirs.get_prompt(1)[0, 0])
    assert torch.equal(read[0][0, LENGTH], words[batch["input_ids"][0, 0]])


@pytest.mark.parametrize("side", ["right", "left"])
def test_prompts_stand_next_to_the_text_whatever_the_padding(side: str, tiny: Any) -> None:
    """(T1) Row by row, after the first real token, with the mask open over them."""
    model, anatomy, _ = build(tiny("bert"), PROMPT)
    batch = encode(tiny("bert"), TEXTS, side)
    read = what_the_trunk_reads(model, anatomy, batch)
    words = trunk_of(model, anatomy).get_input_embeddings()
    for row, mask in enumerate(batch["attention_mask"].bool()):
        real = words(batch["input_ids"][row][mask])
        wanted = torch.cat([real[:1], vectors(model, anatomy), real[1:]])
        assert torch.equal(read["inputs_embeds"][row][read["attention_mask"][row].bool()], wanted)


def test_what_leaves_the_trunk_is_the_texts_own(tiny: Any) -> None:
    """(T1) As many hidden states as tokens, those of the tokens, on every level."""
    model, anatomy, _ = build(tiny("bert"), PROMPT)
    batch = encode(tiny("bert"), TEXTS)
    trunk = trunk_of(model.eval(), anatomy)
    inner: list[Any] = []
    trunk.base_layer.register_forward_hook(
        lambda _, args, output: inner.append([state.clone() for state in output.hidden_states])
    )
    outputs = trunk(**batch, output_hidden_states=True)
    width = batch["input_ids"].shape[1]
    assert len(outputs.hidden_states) == 5
    for cut, whole in zip(outputs.hidden_states, inner[0], strict=True):
        assert cut.shape[1] == width and whole.shape[1] == width + LENGTH
        assert torch.equal(cut[:, :1], whole[:, :1])
        assert torch.equal(cut[:, 1:], whole[:, 1 + LENGTH :])
    assert torch.equal(outputs.last_hidden_state, outputs.hidden_states[-1])


def test_roberta_by_itself_numbers_padding_when_given_embeddings(tiny: Any) -> None:
    """(T2) Why positions have to be passed: without them the answer depends on padding."""
    model, _, _ = build(tiny("roberta"), {"type": "full"})
    batch = encode(tiny("roberta"), TEXTS, "left")
    by_ids = logits(model, batch)
    embeds = model.get_input_embeddings()(batch["input_ids"])
    by_embeds = logits(model, {"inputs_embeds": embeds, "attention_mask": batch["attention_mask"]})
    assert (by_ids - by_embeds).abs().max() > 1e-3


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(("family", "start"), [("roberta", 1), ("bert", 0), ("gpt2", 0)])
def test_positions_count_real_tokens_and_prompts(
    family: str, start: int, side: str, tiny: Any
) -> None:
    """(T2) From where the family starts, without a gap; padding takes no number."""
    model, anatomy, _ = build(tiny(family), PROMPT)
    read = what_the_trunk_reads(model, anatomy, encode(tiny(family), TEXTS, side))
    for positions, mask in zip(read["position_ids"], read["attention_mask"].bool(), strict=True):
        count = int(mask.sum())
        assert positions[mask].tolist() == list(range(start, start + count))


@pytest.mark.parametrize("words", ["good film", "good film was very fine and warm"])
def test_a_given_text_is_repeated_or_cut_to_length(words: str, tiny: Any) -> None:
    """(T3) Without special tokens."""
    from transformers import AutoTokenizer

    values = {**PROMPT, "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": words}
    model, anatomy, _ = build(tiny("bert"), values)
    tokenizer = AutoTokenizer.from_pretrained(tiny("bert"))
    wanted = (words.split() * 5)[:LENGTH]
    ids = torch.tensor(tokenizer.convert_tokens_to_ids(wanted))
    table = trunk_of(model, anatomy).get_input_embeddings().weight
    assert torch.equal(vectors(model, anatomy), table[ids])


def test_words_of_the_training_texts_are_each_drawn_once(tiny: Any) -> None:
    """(T3) Real words, by the seed."""
    first, again, other = (build(tiny("bert"), PROMPT, seed=seed) for seed in (1, 1, 2))
    prompt = vectors(*first[:2])
    table = trunk_of(*first[:2]).get_input_embeddings().weight
    ids = [int((table == row).all(dim=1).nonzero()) for row in prompt]
    assert len(set(ids)) == LENGTH and min(ids) >= 6
    assert torch.equal(prompt, vectors(*again[:2]))
    assert not torch.equal(prompt, vectors(*other[:2]))


def test_noise_has_the_spread_of_the_words(tiny: Any) -> None:
    """(T3) Feature by feature."""
    values = {**PROMPT, "prompt_tuning_init": "RANDOM", "num_virtual_tokens": 2000}
    model, anatomy, _ = build(tiny("bert"), values)
    prompt = vectors(model, anatomy).detach()
    table = trunk_of(model, anatomy).get_input_embeddings().weight.detach()
    torch.testing.assert_close(prompt.std(0), table.std(0), rtol=0.15, atol=0)
    assert (prompt.mean(0) - table.mean(0)).abs().max() < 0.1 * table.std(0).max()


def test_prompts_are_of_the_first_segment(tiny: Any) -> None:
    """(T4) And each token keeps its own."""
    model, anatomy, _ = build(tiny("bert"), PROMPT)
    batch = encode(tiny("bert"), TEXTS[:1])
    types = torch.ones_like(batch["input_ids"])
    types[0, :2] = 0
    read = what_the_trunk_reads(model, anatomy, {**batch, "token_type_ids": types})
    wanted = [0, *[0] * LENGTH, *types[0, 1:].tolist()]
    assert read["token_type_ids"].tolist() == [wanted]


def prepared(tiny: Any, sentiment: str, folder: Path, max_length: Any) -> Any:
    task = {"pooling": "mean", "max_length": max_length}
    return prepare(
        run_config_from(config_values(tiny("bert"), sentiment, PROMPT, folder, task=task))
    )


def test_prompt_and_text_together_fit_into_the_model(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(T5) By default the text is cut to what the prompt leaves."""
    assert prepared(tiny, sentiment, tmp_path / "run", "auto").max_length == 64 - LENGTH
    ids = torch.randint(6, 40, (2, 64 - LENGTH))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    assert logits(build(tiny("bert"), PROMPT)[0], batch).isfinite().all()


def test_a_longer_text_is_refused_with_the_reason(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(T5) Before any weight is loaded."""
    with refused("task.max_length_too_large", max_length=60, room=59):
        prepared(tiny, sentiment, tmp_path / "run", 60)
    assert prepared(tiny, sentiment, tmp_path / "run", 59).max_length == 59


@pytest.mark.parametrize("family", ["bert", "llama"])
def test_switched_off_it_is_the_base(family: str, tiny: Any) -> None:
    """(T1) Bit for bit."""
    batch = encode(tiny(family), TEXTS)
    model, _, _ = build(tiny(family), PROMPT)
    base = logits(build(tiny(family), {"type": "full"})[0], batch)
    assert (logits(model, batch) - base).abs().max() > 1e-4
    with model.disable_adapter():
        assert torch.equal(logits(model, batch), base)


@pytest.mark.parametrize("pooling", ["first", "mean", "model"])
def test_prompts_work_with_every_pooling(
    pooling: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """(T1) BERT's own pooler lies inside the trunk; it trains, and is saved and loaded."""
    task = {"pooling": pooling}
    run = short_tune(tiny("bert"), sentiment, PROMPT, tmp_path / "run", task=task)
    proof = run.results["proof"]
    assert (
        proof["trainable_moved"] == proof["trainable_weights"] == (5 if pooling == "model" else 3)
    )
    assert proof["reloaded_difference"] < 1e-5


def test_only_prompt_and_head_train(tiny: Any) -> None:
    """(T1) P vectors of the model's width."""
    model, anatomy, _ = build(tiny("bert"), PROMPT)
    sizes = {name: p.shape for name, p in model.named_parameters() if p.requires_grad}
    assert len(sizes) == 3
    assert vectors(model, anatomy).shape == (LENGTH, 32)
    assert isinstance(vectors(model, anatomy), nn.Parameter)


def test_a_text_init_without_a_text_is_refused(tiny: Any) -> None:
    """(T3) And a text without it."""
    for values in ({"prompt_tuning_init": "TEXT"}, {"prompt_tuning_init_text": "good"}):
        with pytest.raises(ValueError, match="prompt_tuning_init: TEXT"):
            build(tiny("bert"), {**PROMPT, **values})


@pytest.mark.parametrize("family", ENCODER_DECODERS)
def test_of_two_stacks_the_encoder_reads_the_prompt_and_the_decoder_the_texts_own_states(
    family: str, tiny: Any
) -> None:
    model, anatomy, _ = build(tiny(family), PROMPT, "model")
    batch = encode(tiny(family), TEXTS)
    trunk = model.get_base_model().get_submodule(anatomy.reading.trunk)
    rows, width = batch["input_ids"].shape
    seen: list[int] = []
    hook = trunk.base_layer.register_forward_pre_hook(
        lambda _m, _a, given: seen.append(given["inputs_embeds"].shape[1]), with_kwargs=True
    )
    states = trunk(**batch).last_hidden_state
    hook.remove()
    assert seen == [width + trunk.prompt_parts["default"].embeddings.shape[0]]
    assert states.shape == (rows, width, 32)
    with model.disable_adapter():
        before = trunk(**batch).last_hidden_state
    real = batch["attention_mask"].bool()
    assert (states - before)[real].abs().max() > 1e-3, "what the text says depends on the prompt"
