"""Sizes and rotary embedding are those of the network, or it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from llamas import LLAMA3_ROPE
from support import make_config
from welltuned.deployment.export.gguf.metadata import (
    context_length,
    head_dim,
    network_fault,
    rope_factors,
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


def test_a_head_is_as_wide_as_the_config_says_or_its_share() -> None:
    assert head_dim(make_config("qwen3", head_dim=16)) == 16
    assert head_dim(make_config("gpt2")) == 32 // 4


@pytest.mark.parametrize(("window", "length"), [(None, 128), (96, 96), (4096, 128)])
def test_a_window_of_attention_limits_the_context(window: int | None, length: int) -> None:
    config = make_config("mistral", max_position_embeddings=128, sliding_window=window)
    assert context_length(config) == length


def test_frequencies_are_divided_where_the_embedding_is_scaled() -> None:
    assert rope_factors(make_config("llama")) is None
    found = rope_factors(make_config("llama", **LINEAR))
    assert found is not None and found.tolist() == pytest.approx([4.0] * 4)
    # Waves of 6, 63, 628 and 6283 tokens: the first goes round within 32 / 4 and is left alone.
    found = rope_factors(make_config("llama", **LLAMA3))
    assert found is not None and found.tolist() == pytest.approx([1.0, 8.0, 8.0, 8.0], rel=1e-5)


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
