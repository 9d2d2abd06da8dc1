"""llama.cpp itself reads what is written: the same tokens, and the same answers in full precision.

With `pip install cyllama`, whose wheel holds it; without, these tests are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from llamas import LLAMA3_ROPE, artifact_of, pieces_tokenizer, speaking
from welltuned.deployment.export.gguf.format import WEIGHTS, write_gguf
from welltuned.models.available import find_available
from welltuned.models.config import ModelConfig

TEXTS = [
    "The film, aged 12, was 345.",
    "a  b\n\tc",
    "深度学习 — naïve 🙂",
    "the inner land and her",
]
MODELS: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama-tied": {"tie_word_embeddings": True},
    "llama-3": {"rope_parameters": LLAMA3_ROPE},
    "llama-2": {"tokenizer": pieces_tokenizer},
    "qwen2": {},
    "qwen3": {},
}


def run(artifact: Any, folder: Path, prompt: str, length: int) -> tuple[str, str, Any]:
    """(what the model says, what llama.cpp does, llama.cpp), greedily."""
    cyllama = pytest.importorskip("cyllama.api")
    write_gguf(artifact, folder / WEIGHTS, "fp32")
    ids = artifact.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        said = artifact.model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=length,
            do_sample=False,
            eos_token_id=artifact.tokenizer.eos_token_id,
            pad_token_id=artifact.tokenizer.pad_token_id,
        )[0, len(ids) :]
    theirs = cyllama.LLM(str(folder / WEIGHTS), verbose=False)
    config = cyllama.GenerationConfig(max_tokens=length, temperature=0.0, add_bos=False)
    answer = theirs(prompt, config).text
    return artifact.tokenizer.decode(said, skip_special_tokens=True), answer, theirs


def require_same_tokens_of(texts: list[str], artifact: Any, theirs: Any) -> None:
    for text in texts:
        found = theirs.vocab.tokenize(text, add_special=False, parse_special=False)
        assert list(found) == artifact.tokenizer(text, add_special_tokens=False)["input_ids"], text


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_every_build_answers_the_same(name: str, tmp_path: Path) -> None:
    changes = dict(MODELS[name])
    made = changes.pop("tokenizer", None)
    family = "llama" if name.startswith("llama") else name
    artifact = speaking(family, tokenizer=made and made(), **changes)
    said, answer, theirs = run(artifact, tmp_path, "the film was", 12)
    assert answer == said
    require_same_tokens_of(TEXTS, artifact, theirs)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_model_answers_the_same(tmp_path: Path) -> None:
    """With SmolLM2 in `$WELLTUNED_MODELS`, or its package."""
    here = find_available("HuggingFaceTB/SmolLM2-135M-Instruct")
    if here is None:
        pytest.skip("SmolLM2 is not here")
    folder = ModelConfig(name=here.name).location
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    artifact = artifact_of(model, AutoTokenizer.from_pretrained(folder), "chat")
    turns = [{"role": "user", "content": "What do you know about the sea?"}]
    prompt = artifact.tokenizer.apply_chat_template(
        turns, tokenize=False, add_generation_prompt=True
    )
    said, answer, theirs = run(artifact, tmp_path, prompt, 48)
    assert answer == said and "sea" in said
    require_same_tokens_of(TEXTS, artifact, theirs)
