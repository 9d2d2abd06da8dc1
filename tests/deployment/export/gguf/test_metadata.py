"""Sizes and rotary embedding are those of the network, or it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from llamas import LLAMA3_ROPE
from support import make_config
from welltuned.deployment.export.gguf.metadata import (
    context_length,
    network_fault,
    write_network,
)


def rope(kind: str, **parts: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **parts}}


LLAMA3, LINEAR = {"rope_parameters": LLAMA3_ROPE}, rope("linear", factor=4.0)


@pytest.mark.parametrize("changes", [{}, LLAMA3, LINEAR])
def test_networks_of_llama_are_held(changes: dict[str, Any]) -> None:
    assert network_fault(make_config("llama", **changes), turns_neighbours=True) is None


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama", {"hidden_act": "gelu"}),
        ("llama", rope("dynamic", factor=2.0)),
        ("llama", rope("default", partial_rotary_factor=0.5)),
        ("qwen2", LLAMA3),
        ("qwen2", LINEAR),
    ],
)
def test_networks_that_llama_cpp_would_compute_otherwise_are_refused(
    family: str, changes: dict[str, Any]
) -> None:
    fault = network_fault(make_config(family, **changes), turns_neighbours=family == "llama")
    assert fault is not None and fault.code == "export.cannot_hold"


@pytest.mark.parametrize(("window", "length"), [(None, 128), (96, 96), (4096, 128)])
def test_a_window_of_attention_limits_the_context(window: int | None, length: int) -> None:
    config = make_config("mistral", max_position_embeddings=128, sliding_window=window)
    assert context_length(config) == length


def test_every_size_is_written_as_the_config_has_it() -> None:
    said: dict[str, object] = {}

    class Writer:
        def __getattr__(self, name: str) -> Any:
            return lambda value: said.update({name.removeprefix("add_"): value})

    writer: Any = Writer()
    config = make_config("llama", rms_norm_eps=1e-5, num_key_value_heads=2)
    write_network(writer, config, rows=300)
    assert said == {
        "vocab_size": 300,
        "context_length": 64,
        "embedding_length": 32,
        "block_count": 4,
        "feed_forward_length": 48,
        "head_count": 4,
        "head_count_kv": 2,
        "key_length": 8,
        "value_length": 8,
        "layer_norm_rms_eps": 1e-5,
        "rope_dimension_count": 8,
        "rope_freq_base": 10000.0,
    }
