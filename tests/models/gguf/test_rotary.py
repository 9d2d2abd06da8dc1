"""Scaled rotary positions: their factors, and the config that gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamas import LLAMA3_ROPE
from support import make_config
from welltuned.models.gguf.rotary import find_scaling, head_dim, rope_factors

LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}


def scaled(rope: dict[str, Any], size: int = 32) -> Any:
    return make_config("llama", rope_parameters=rope, head_dim=size)


def test_a_head_is_as_wide_as_the_config_says_or_its_share() -> None:
    assert head_dim(make_config("qwen3", head_dim=16)) == 16
    assert head_dim(make_config("gpt2")) == 32 // 4


def test_frequencies_are_divided_where_the_embedding_is_scaled() -> None:
    assert rope_factors(make_config("llama")) is None
    found = rope_factors(scaled(LINEAR, 8))
    assert found is not None and found.tolist() == pytest.approx([4.0] * 4)
    # Waves of 6, 63, 628 and 6283 tokens: the first goes round within 32 / 4 and is left alone.
    found = rope_factors(scaled(LLAMA3_ROPE, 8))
    assert found is not None and found.tolist() == pytest.approx([1.0, 8.0, 8.0, 8.0], rel=1e-5)


@pytest.mark.parametrize(
    "rope",
    [
        LINEAR,
        LLAMA3_ROPE,
        {
            **LLAMA3_ROPE,
            "rope_theta": 5e5,
            "factor": 32.0,
            "original_max_position_embeddings": 8192,
        },
    ],
)
def test_a_config_is_found_that_gives_the_same_factors(rope: dict[str, Any]) -> None:
    factors = rope_factors(scaled(rope))
    assert factors is not None
    plain = scaled({"rope_type": "default", "rope_theta": rope["rope_theta"]})
    found = find_scaling(plain, factors)
    assert found is not None and found == {**rope, **found}
    assert plain.rope_parameters["rope_type"] == "default", "the config is left as it was"
    again = rope_factors(scaled(found))
    assert again is not None and np.allclose(again, factors)


def test_factors_of_no_known_scaling_are_none_of_ours() -> None:
    plain = scaled({"rope_type": "default", "rope_theta": 1e4})
    assert find_scaling(plain, np.linspace(1, 9, 16, dtype=np.float32)) is None
