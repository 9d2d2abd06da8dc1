"""The base to read with: the config's own, or one whose tokenizer knows words of the texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoModelForMaskedLM

from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.new_tokens import add_tokens, find_new_tokens
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config, read_tokenizer, read_weights
from welltuned.models.silence import quiet
from welltuned.runs.folder import write_atomically

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_COUNTED = 1000
"""Texts on which it is counted what new tokens save."""


@dataclass(frozen=True)
class Saved:
    """What new tokens are worth."""

    number: int
    """How many there are."""
    share: float
    """The share of the texts' tokens that they save."""


def extended(config: AdaptConfig, texts: list[str], parent: Path) -> tuple[ModelConfig, Saved]:
    """The model to read with, written into `parent` where it is another than the config's."""
    if not config.adaptation.new_tokens:
        return config.model, Saved(0, 0.0)
    folder, told = parent / "extended", parent / "extended.json"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)
        found = _extend(config, texts, folder)
        write_atomically(told, json.dumps(asdict(found)) + "\n")
    changes = {"name": str(folder), "revision": None, "gguf_file": None}
    saved = Saved(**json.loads(told.read_text(encoding="utf-8")))
    return config.model.model_copy(update=changes), saved


def _extend(config: AdaptConfig, texts: list[str], folder: Path) -> Saved:
    tokenizer = read_tokenizer(config.model)
    before = _count(tokenizer, texts[:_COUNTED])
    new = find_new_tokens(tokenizer, texts, config.adaptation.new_tokens)
    torch.manual_seed(config.adaptation.training.seed)  # an output layer may have to be built
    with quiet():
        own = read_model_config(config.model)
        model, _ = read_weights(config.model, AutoModelForMaskedLM, own)
        add_tokens(model, tokenizer, new)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return Saved(len(new), 1 - _count(tokenizer, texts[:_COUNTED]) / max(before, 1))


def _count(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> int:
    return sum(map(len, tokenizer(list(texts), add_special_tokens=False)["input_ids"]))
