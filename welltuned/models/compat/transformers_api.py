"""transformers: attention by name, tables of families, and files beside a model."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import torch
import transformers
from huggingface_hub import constants as hub
from torch import nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING,
)
from transformers.pytorch_utils import Conv1D
from transformers.utils.hub import TRANSFORMERS_DYNAMIC_MODULE_NAME, cached_file

__all__ = [
    "ACT2FN",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING",
    "Conv1D",
    "attends_as",
    "attends_by_sdpa",
    "attention_of",
    "explicit_mask",
    "file_of_model",
    "initialise_as_family",
    "is_offline",
    "model_class",
    "read_once",
    "recompute_activations",
    "register_attention",
    "runs_own_code",
    "sdpa_attention_forward",
    "sdpa_mask",
    "take_rows",
]


def register_attention(
    name: str,
    attend: Callable[..., tuple[torch.Tensor, torch.Tensor | None]],
    mask: Callable[..., torch.Tensor | None],
) -> None:
    """Make an attention function known under a name of its own, with the masks it is given."""
    AttentionInterface.register(name, attend)
    AttentionMaskInterface.register(name, mask)


def attention_of(model: PreTrainedModel) -> str | None:
    """The name of the attention function that a model calls."""
    return getattr(model.config, "_attn_implementation", None)


def attends_as(model: PreTrainedModel, name: str) -> None:
    """Switch a model to an attention function; a family that has another of its own keeps it."""
    try:
        model.set_attn_implementation(name)
    except (ValueError, KeyError, NotImplementedError, ImportError):
        return


def attends_by_sdpa(model: nn.Module) -> bool:
    """Whether a model attends by transformers' `sdpa` throughout and never asks for that name.

    A family that compares the name in its own code would take another one for an attention it
    does not know, and leave masks out.
    """
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    return bool(parts) and all(
        part.config._attn_implementation == "sdpa" and not _names_sdpa(type(part).__module__)
        for part in parts
    )


@cache
def _names_sdpa(module: str) -> bool:
    try:
        return '"sdpa"' in inspect.getsource(sys.modules[module])
    except (KeyError, OSError):  # code that has no file: nobody can tell
        return True


def explicit_mask(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """The mask of `sdpa` as a tensor, without the shortcuts by which transformers leaves it out."""
    shortcuts = {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(*args, **{**kwargs, **shortcuts})


def recompute_activations(model: nn.Module, **options: object) -> None:
    """Gradient checkpointing: recompute activations inside blocks in the backward pass.

    `options` are those of `torch.utils.checkpoint`. Newer releases of transformers call it
    activation checkpointing and warn of the old name.
    """
    old: Any = model.gradient_checkpointing_enable
    getattr(model, "activation_checkpointing_enable", old)({"use_reentrant": False, **options})


def file_of_model(model: str, name: str, folder: str, revision: str | None) -> Path | None:
    """A file beside a model, local or on the hub; None when there is none or it cannot be had."""
    found = cached_file(
        model,
        name,
        subfolder=folder,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)


def initialise_as_family(model: PreTrainedModel, module: nn.Module) -> None:
    """Initialise one module's own weights as the model's family does, loaded ones included."""
    for parameter in module.parameters(recurse=False):
        vars(parameter).pop("_is_hf_initialized", None)  # what transformers spares
    model._init_weights(module)


def is_offline() -> bool:
    """Whether the environment forbids to ask the Hub."""
    return bool(hub.HF_HUB_OFFLINE)


def runs_own_code(config: PreTrainedConfig) -> bool:
    """Whether a config came from a model's own code, which it does where somebody allowed it."""
    return type(config).__module__.split(".")[0] == TRANSFORMERS_DYNAMIC_MODULE_NAME


def model_class(given: str | type, config: PreTrainedConfig) -> type[PreTrainedModel]:
    """A class of transformers, or its name; of an auto class, the one it takes for a config."""
    named: Any = getattr(transformers, given) if isinstance(given, str) else given
    if not hasattr(named, "_model_mapping"):
        return named
    found = named._model_mapping[type(config)]
    return found[0] if isinstance(found, (list, tuple)) else found


def read_once(model: nn.Module, ids_1P: torch.Tensor, rows: int) -> Cache | None:
    """Keys and values (rows, heads, P, D) of tokens that begin several rows, read in one pass.

    Padding is to stand behind them. None for families in which it would change what follows:
    those that do not take positions, and those that attend within a window, padding included.
    """
    unwrap = getattr(model, "get_base_model", None)
    inner: Any = model if unwrap is None else unwrap()
    takes_positions = "position_ids" in inspect.signature(inner.forward).parameters
    if not takes_positions or getattr(inner.config.get_text_config(), "window_size", None):
        return None
    cache = getattr(model(input_ids=ids_1P, use_cache=True), "past_key_values", None)
    if not _is_of(cache, ids_1P.shape[1]) or any(type(x) is not DynamicLayer for x in cache.layers):
        return None
    cache.batch_repeat_interleave(rows)
    return cache


def take_rows(cache: object, rows: torch.Tensor, length: int) -> Cache | None:
    """A cache of `length` tokens with some of its rows alone; None where it cannot be had."""
    if not _is_of(cache, length):
        return None
    try:
        cache.batch_select_indices(rows)
    except AttributeError:  # a layer of another kind, such as a recurrent one
        return None
    return cache


def _is_of(cache: object, length: int) -> TypeGuard[Cache]:
    """Whether a cache holds so many tokens; with a soft prompt, which no text shows, it has more.

    `generate` tells by the cache's length which tokens are new.
    """
    return isinstance(cache, Cache) and cache.get_seq_length() == length


def rotary_frequencies(config: PreTrainedConfig, kind: str) -> torch.Tensor:
    """The frequencies (D / 2) of rotary positions that are scaled in a way, such as `llama3`."""
    frequencies, _ = ROPE_INIT_FUNCTIONS[kind](config, "cpu")
    return frequencies
