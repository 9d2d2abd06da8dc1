"""What a language model lost of general texts, told by its loss beside that of another."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from support import make_rows
from welltuned.evaluation.text_change import text_change
from welltuned.models.config import ModelConfig

TEXTS = [row["text"] for row in make_rows(11)]


def mean_loss(folder: str, texts: list[str]) -> float:
    """By transformers' own loss, one text at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    losses = []
    for text in texts:
        ids_1T = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            losses.append(float(model(input_ids=ids_1T, labels=ids_1T).loss))
    return sum(losses) / len(losses)


def test_losses_are_those_of_each_text_by_itself(causal: Any, tiny: Any) -> None:
    one, other = causal("llama"), causal("gpt2")
    found = text_change(ModelConfig(name=one), ModelConfig(name=other), TEXTS)
    assert found.texts == 11
    assert found.before == pytest.approx(mean_loss(one, TEXTS), abs=1e-5)
    assert found.after == pytest.approx(mean_loss(other, TEXTS), abs=1e-5)
    assert found.difference == pytest.approx(found.after - found.before)
    low, high = found.difference_ci95
    assert low <= found.difference <= high and low < high


def test_a_model_has_forgotten_nothing_of_itself(causal: Any) -> None:
    model = ModelConfig(name=causal("llama"))
    found = text_change(model, model, TEXTS[:3])
    assert found.difference == 0 and found.difference_ci95 == [0, 0]
