"""The plain folder of a GGUF file is its model: weights, tokens and template are the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from faults import noted, refused
from llamas import LLAMA3_ROPE, bpe_tokenizer, pieces_tokenizer
from welltuned.models.gguf.conversion import convert_gguf
from welltuned.models.gguf.header import read_gguf_header
from welltuned.schema.messages import Message

TEXTS = (
    "The quick brown fox, aged 12, jumps over 345 dogs; doesn't it?",
    "  two spaces,\ttabs\n\nand lines ",
    "深度学习 — émigré naïveté Ωμέγα 🙂 1234567",
)


def converted(file: Path, folder: Path) -> tuple[Any, Any, list[Message]]:
    """(model, tokenizer, notes) by the plain libraries' own loaders."""
    notes = convert_gguf(file, read_gguf_header(file), folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    return model.eval(), AutoTokenizer.from_pretrained(folder), notes


def replaced(file: Path, before: str, after: str) -> None:
    """Another name, of the same length, wherever one stands in a file."""
    assert len(before) == len(after)
    content = file.read_bytes()
    assert before.encode() in content
    file.write_bytes(content.replace(before.encode(), after.encode()))


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"tie_word_embeddings": True}),
        ("llama", {"attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3_ROPE}),
        ("qwen3", {"head_dim": 16}),
    ],
)
def test_the_plain_model_computes_what_was_written(
    family: str, changes: dict[str, Any], gguf_of: Any, tmp_path: Path
) -> None:
    file, artifact = gguf_of(family, **changes)
    model, tokenizer, notes = converted(file, tmp_path / "plain")
    wanted = artifact.model.state_dict()
    assert model.state_dict().keys() == wanted.keys() and notes == []
    for name, weight in model.state_dict().items():
        assert weight.dtype == torch.float32
        torch.testing.assert_close(weight, wanted[name], atol=1e-6, rtol=0)
    ids_1T = torch.tensor([[5, 9, 200, 31, 7]])
    with torch.inference_mode():
        one, other = (each(input_ids=ids_1T).logits for each in (artifact.model, model))
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    for text in TEXTS:
        assert tokenizer(text)["input_ids"] == artifact.tokenizer(text)["input_ids"]
    assert tokenizer.chat_template == artifact.tokenizer.chat_template
    assert tokenizer.eos_token == artifact.tokenizer.eos_token
    assert len(tokenizer) == model.config.vocab_size, "the reader's own tokens are left out"
    assert tokenizer.model_max_length == 128, "no longer than the model reads"
    assert not list((tmp_path / "plain").glob("*.bin")), "nothing is pickled"


def test_packed_numbers_are_those_that_the_library_unpacks(gguf_of: Any, tmp_path: Path) -> None:
    file, artifact = gguf_of(precision="int8", hidden_size=64)
    model, _, _ = converted(file, tmp_path / "plain")
    packed = {one.name: one for one in gguf.GGUFReader(str(file)).tensors}["blk.1.ffn_down.weight"]
    unpacked = gguf.dequantize(packed.data, packed.tensor_type)
    weight = model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    assert np.array_equal(weight, unpacked)
    original = artifact.model.model.layers[1].mlp.down_proj.weight.detach().numpy()
    assert 0 < np.abs(weight - original).max() < 0.02


def test_texts_are_split_as_the_file_says_and_not_as_gpt_2_does(
    gguf_of: Any, tmp_path: Path
) -> None:
    """Digits alone: transformers' own reader does not know the name."""
    tokenizer = bpe_tokenizer()
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), words]
    )
    file, _ = gguf_of(tokenizer=tokenizer)
    _, read, notes = converted(file, tmp_path / "plain")
    split = read.backend_tokenizer.pre_tokenizer.pre_tokenize_str("a 123")
    assert [piece for piece, _ in split] == ["a", "Ġ", "1", "2", "3"] and notes == []


def test_a_splitting_that_nobody_knows_is_told(gguf_of: Any, tmp_path: Path) -> None:
    file, _ = gguf_of()
    replaced(file, "gpt-2", "moonz")
    _, _, notes = converted(file, tmp_path / "plain")
    assert noted(notes) == ["model.gguf_splitting_unknown file=tiny.gguf name=moonz"]


def test_pieces_of_sentencepiece_are_read_too(gguf_of: Any, tmp_path: Path) -> None:
    file, artifact = gguf_of(tokenizer=pieces_tokenizer(), style="plain")
    _, tokenizer, notes = converted(file, tmp_path / "plain")
    assert notes == [] and tokenizer.bos_token == "<s>"
    for text in ("the hen and an ant", "ABC, 123."):
        wanted = artifact.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == wanted


def test_what_lies_beside_the_file_is_no_part_of_its_model(gguf_of: Any, tmp_path: Path) -> None:
    """Such as the tokenizer of another model, which its reader would prefer."""
    file, artifact = gguf_of()
    pieces_tokenizer().save_pretrained(file.parent)
    (file.parent / "config.json").write_text("{}")
    _, tokenizer, _ = converted(file, tmp_path / "plain")
    assert tokenizer(TEXTS[0])["input_ids"] == artifact.tokenizer(TEXTS[0])["input_ids"]


@pytest.mark.parametrize(
    ("changes", "before", "after", "reason"),
    [
        ({}, "llama", "lamma", "lamma"),
        ({}, "blk.1.attn_q.weight", "blk.1.attn_x.weight", "q_proj"),
        ({"attention_bias": True}, "blk.0.attn_q.bias", "blk.0.attn_x.bias", "weights"),
        ({"rope_parameters": LLAMA3_ROPE}, "rope_freqs.weight", "rope_frexx.weight", "weights"),
    ],
)
def test_what_transformers_would_read_as_another_model_is_refused(
    changes: dict[str, Any], before: str, after: str, reason: str, gguf_of: Any, tmp_path: Path
) -> None:
    """An unknown family, a missing tensor, and tensors that it passes over without a word."""
    file, _ = gguf_of(**changes)
    replaced(file, before, after)
    with refused("model.gguf_unsupported", place=str(file)) as caught:
        converted(file, tmp_path / "plain")
    assert reason in caught.value.faults[0].values["reason"]
