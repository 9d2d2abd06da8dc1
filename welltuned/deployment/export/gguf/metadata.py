"""What a GGUF file says of a network: sizes, rotary embedding, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from welltuned.deployment.export.base import cannot_hold
from welltuned.errors import Fault
from welltuned.models.compat.transformers_api import rotary_frequencies

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedConfig

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor by which llama.cpp divides each frequency of the rotary embedding."""
_SCALED = ("llama3", "linear")
"""Rotary embeddings whose frequencies are other ones, whatever the length of a text."""


def network_fault(config: PreTrainedConfig, turns_neighbours: bool) -> Fault | None:
    """Why llama.cpp would compute anything else than this network; None where it does not."""
    rope = config.rope_parameters
    kind = rope.get("rope_type", "default")
    told = None
    if config.hidden_act not in ("silu", "swish"):
        told = f"its activation is {config.hidden_act}, and llama.cpp computes SiLU"
    elif kind != "default" and not (kind in _SCALED and turns_neighbours):
        told = f"its rotary embedding is scaled in the way '{kind}'"
    elif rope.get("partial_rotary_factor", 1.0) != 1.0:
        told = "its rotary embedding turns a part of each head alone"
    return None if told is None else cannot_hold("gguf", told, "export to=plain")


def head_dim(config: PreTrainedConfig) -> int:
    """Numbers of a head of attention."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def context_length(config: PreTrainedConfig) -> int:
    """Tokens that are read at most; no more than a window of attention, where there is one."""
    return min(config.max_position_embeddings, getattr(config, "sliding_window", None) or 2**31)


def write_network(writer: GGUFWriter, config: PreTrainedConfig, rows: int) -> None:
    """The sizes of a network that embeds `rows` tokens."""
    writer.add_vocab_size(rows)
    writer.add_context_length(context_length(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])


def rope_factors(config: PreTrainedConfig) -> np.ndarray | None:
    """By what each frequency (D / 2) is divided; None where none is.

    From the frequencies that transformers itself computes, so no formula is written down twice.
    """
    rope = config.rope_parameters
    kind = rope.get("rope_type", "default")
    if kind == "default":
        return None
    scaled = rotary_frequencies(config, kind)
    size = head_dim(config)
    plain = rope["rope_theta"] ** -(np.arange(0, size, 2, dtype=np.float64) / size)
    return (plain / scaled.double().numpy()).astype(np.float32)
