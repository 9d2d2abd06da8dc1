"""Rotary positions in GGUF: a tensor by which each frequency is divided, where they are scaled.

llama.cpp keeps no formula. What transformers divides by follows from a config, so from a file's
tensor the config is found that divides alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from welltuned.models.compat.transformers_api import rotary_frequencies

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor by which llama.cpp divides each frequency of the rotary embedding."""
_LOW, _HIGH = 1.0, 4.0
"""How often a wave goes round within the first context: fewer times and it is divided in full,
more times and it is not (Llama 3.1's `low_freq_factor` and `high_freq_factor`)."""
_CONTEXTS = tuple(2**power for power in range(4, 21))
"""First contexts in tokens; Llama 3.1 has 8,192."""
_ALIKE = 1e-3
"""How far factors may differ from what a config gives, as a share: they are kept in 32 bits."""


def head_dim(config: PreTrainedConfig) -> int:
    """Numbers of a head of attention."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


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


def find_scaling(config: PreTrainedConfig, factors: np.ndarray) -> dict[str, object] | None:
    """The `rope_parameters` that divide each frequency (D / 2) by these factors.

    None where none that is known does. The config is left as it was.
    """
    own = config.rope_parameters
    try:
        for scaling in _scalings(float(factors.max())):
            config.rope_parameters = {"rope_theta": own["rope_theta"], **scaling}
            found = rope_factors(config)
            if found is not None and np.allclose(found, factors, rtol=_ALIKE):
                return dict(config.rope_parameters)
    finally:
        config.rope_parameters = own
    return None


def _scalings(factor: float) -> Iterator[dict[str, object]]:
    yield {"rope_type": "linear", "factor": factor}
    for context in _CONTEXTS:
        yield {
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": _LOW,
            "high_freq_factor": _HIGH,
            "original_max_position_embeddings": context,
        }
