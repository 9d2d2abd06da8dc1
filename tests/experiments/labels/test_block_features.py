"""Features of several blocks: which are read, and that they are what the blocks wrote."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support import loaded_for
from welltuned.evaluation.features import pooled_states
from welltuned.experiments.labels.block_features import (
    MOST_FEATURES,
    block_features,
    chosen_layers,
)


@pytest.mark.parametrize(
    ("blocks", "hidden", "texts", "layers"),
    [
        (6, 384, 2000, [6, 4, 3, 2]),
        (12, 768, 2000, [12, 6]),
        (24, 2048, 2000, [24]),
        (2, 32, 2000, [2, 1]),
        (6, 384, 100_000, [6]),
    ],
)
def test_they_are_evenly_spaced_from_the_top_as_far_as_there_is_room(
    blocks: int, hidden: int, texts: int, layers: list[int]
) -> None:
    assert chosen_layers(blocks, hidden, texts) == layers
    assert len(layers) * hidden <= max(MOST_FEATURES, hidden)


def test_they_are_the_states_that_the_head_would_read(tiny: Any, few: str) -> None:
    loaded = loaded_for(tiny("bert"), few, {"type": "full"})
    subject, examples = loaded.subject("fp32"), loaded.prepared.examples["validation"]
    heard: list[int] = []
    found = block_features(subject, examples, "first", heard.append)
    every = pooled_states(
        subject.model, subject.anatomy, examples.encoded, subject.pad_id, "first", 8
    )
    expected = np.concatenate([every[layer] for layer in (4, 3, 2, 1)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert heard[-1] == len(examples)
