"""Embeddings for a tokenizer that has more tokens than its model has rows for them.

Each new row is the mean of those that were there, so that a new token starts out as no word in
particular; the output layer's likewise.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from welltuned.errors import Fault, InputError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def rows_of(config: PreTrainedConfig) -> int:
    """How many tokens a model has embeddings for."""
    return int(config.get_text_config().vocab_size)


def rows_needed(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many it needs: as many as it has, or one for each token of its tokenizer."""
    return max(rows_of(config), 1 + max(tokenizer.get_vocab().values()))


def check_vocabulary(
    name: str, config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Raise `InputError` where the tokenizer has tokens that the model knows nothing of."""
    rows, needed = rows_of(config), rows_needed(config, tokenizer)
    if needed > rows:
        raise InputError(
            Fault(
                "model.vocabulary_too_small",
                "the tokenizer of '{name}' has tokens up to number {last:,}, but the model has "
                "embeddings for {rows:,} only",
                None,
                "set model.resize_embeddings=true, which adds {new:,} rows, or save the tokenizer "
                "that belongs to the model",
                name=name,
                last=needed - 1,
                rows=rows,
                new=needed - rows,
            )
        )


def with_rows(config: PreTrainedConfig, rows: int) -> PreTrainedConfig:
    """The config of a model with that many embeddings."""
    if rows_of(config) == rows:
        return config
    other = deepcopy(config)
    other.get_text_config().vocab_size = rows
    return other


def add_rows(model: PreTrainedModel, rows: int) -> None:
    """Resize the embeddings, and an output layer of tokens where there is one."""
    embeddings: Any = model.get_input_embeddings()
    before = len(embeddings.weight)
    if before == rows:
        return
    model.resize_token_embeddings(rows, mean_resizing=False)
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None:
            _fill(layer, before)


def _fill(layer: nn.Module, before: int) -> None:
    weights: list[Any] = [layer.weight, getattr(layer, "bias", None)]
    for weight in weights:
        if weight is not None:
            weight.data[before:] = weight.data[:before].float().mean(dim=0).to(weight.dtype)
