"""A GGUF file that reads otherwise than the model does is noticed, whatever is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from faults import fails
from llamas import LLAMA3_ROPE, bpe_tokenizer, speaking
from talking import UNCLOSED
from welltuned.deployment.export.gguf import format as gguf_format
from welltuned.deployment.export.gguf import tensors
from welltuned.deployment.export.gguf.format import WEIGHTS, write_gguf
from welltuned.deployment.export.gguf.proof import (
    QUESTION,
    Conversation,
    ask_both,
    read_back,
    require_same_answer,
    require_same_tokens,
)
from welltuned.deployment.export.gguf.vocabulary import read_vocabulary

FILE = Path("model.gguf")


def written_and_read(artifact: Any, folder: Path) -> Any:
    write_gguf(artifact, folder / WEIGHTS, "fp32")
    return read_back(folder, WEIGHTS, artifact.config.rope_parameters)


def asked(artifact: Any, model: Any, plain: bool = False) -> Conversation:
    return ask_both(artifact, model, artifact.tokenizer, plain, FILE)


@pytest.mark.parametrize("changes", [{}, {"attention_bias": True, "mlp_bias": True}])
def test_what_was_written_is_read_back(changes: dict[str, Any], tmp_path: Path) -> None:
    artifact = speaking(**changes)
    read = written_and_read(artifact, tmp_path)
    wanted = dict(artifact.model.named_parameters())
    for name, weight in read.named_parameters():
        torch.testing.assert_close(weight, wanted.pop(name), msg=name)
    assert not wanted


def test_rows_in_the_wrong_order_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensors, "interleaved", lambda weight, heads: weight)
    artifact = speaking()
    talk = asked(artifact, written_and_read(artifact, tmp_path))
    with fails("export.gguf_reads_otherwise"):
        require_same_answer(talk, FILE)


def test_a_scaling_that_is_not_written_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf_format, "_factors", lambda config: [])
    with fails("export.gguf_reads_otherwise", reason="its rotary embedding is scaled otherwise"):
        written_and_read(speaking(rope_parameters=LLAMA3_ROPE), tmp_path)


def test_a_scaling_that_should_not_be_there_is_noticed(tmp_path: Path) -> None:
    write_gguf(speaking(rope_parameters=LLAMA3_ROPE), tmp_path / WEIGHTS, "fp32")
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    with fails("export.gguf_reads_otherwise", reason="its rotary embedding is scaled otherwise"):
        read_back(tmp_path, WEIGHTS, plain)


def test_a_weight_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_one(model: Any, precision: str) -> Any:
        every = tensors.tensors_of(model, precision)
        return (one for one in every if one.name != "blk.2.ffn_up.weight")

    monkeypatch.setattr(gguf_format, "tensors_of", without_one)
    missing = "'model.layers.2.mlp.up_proj.weight' is missing"
    with fails("export.gguf_reads_otherwise", reason=missing):
        written_and_read(speaking(), tmp_path)


# --- Tokens ---------------------------------------------------------------------------


def test_a_text_with_other_tokens_is_named() -> None:
    original, read = bpe_tokenizer(), bpe_tokenizer()
    vocabulary = read_vocabulary(original, len(original))
    require_same_tokens(original, read, ["a b", "words"], vocabulary, FILE)
    read.add_tokens(["words"])
    with fails("export.gguf_reads_otherwise", reason="the text 'words' has other tokens"):
        require_same_tokens(original, read, ["a b", "words"], vocabulary, FILE)


# --- Answers --------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [True, False])
def test_a_model_answers_as_itself(plain: bool) -> None:
    artifact = speaking()
    talk = asked(artifact, artifact.model, plain)
    assert talk["question"] == QUESTION and talk["logits_difference"] == 0.0
    assert talk["same_tokens"] == talk["tokens"] > 0
    require_same_answer(talk, FILE)


def test_another_model_is_told_by_its_logits() -> None:
    artifact = speaking()
    other = speaking(tie_word_embeddings=False).model
    with torch.no_grad():
        other.lm_head.weight.copy_(-artifact.model.get_output_embeddings().weight)
    talk = asked(artifact, other)
    assert talk["logits_difference"] > 0.1 and talk["same_tokens"] == 0 < talk["tokens"]


def test_another_template_asks_another_question() -> None:
    artifact = speaking()
    with fails("export.gguf_reads_otherwise", reason="its template asks with other tokens"):
        ask_both(artifact, artifact.model, bpe_tokenizer(UNCLOSED), False, FILE)


@pytest.mark.parametrize(("same", "apart"), [(9, 0.0), (10, 2e-3)])
def test_a_file_in_full_precision_must_answer_the_same(same: int, apart: float) -> None:
    talk: Conversation = {
        "question": "?", "answer": "!", "tokens": 10, "same_tokens": 10, "logits_difference": 5e-4,
    }  # fmt: skip
    require_same_answer(talk, FILE)
    talk["same_tokens"], talk["logits_difference"] = same, apart
    with fails("export.gguf_reads_otherwise") as caught:
        require_same_answer(talk, FILE)
    assert re.search(rf"\b{same} of 10 tokens", str(caught.value))
