"""What a GGUF file says of a network: sizes, rotary embedding, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from welltuned.deployment.export.base import cannot_hold
from welltuned.errors import Fault
from welltuned.models.gguf.rotary import head_dim

if TYPE_CHECKING:
    from gguf import GGUFWriter
    from transformers import PreTrainedConfig

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
