"""What heads read where no weight below them trains: pooled hidden states of several blocks.

Blocks between the middle and the top often tell more of a task than the top one alone, which has
turned to what the model was pretrained for; a linear head with all of them beside each other takes
what it needs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from welltuned.evaluation.eval_model import EvalModel
from welltuned.evaluation.features import capture_hidden_states, token_of_own_head
from welltuned.models.modeling_pooled import pool
from welltuned.tasks import Examples

MOST_FEATURES = 1536
"""Features of a text: enough to read most tasks off, and few enough to fit heads in seconds."""
_MOST_BYTES = 2**29
"""Of all features in float64, as heads are fitted to them."""


def block_features(
    subject: EvalModel,
    examples: Examples,
    pooling: str,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """The features (N, C · H) of N texts: of C blocks, evenly spaced from the top.

    `progress` hears how many texts have been read.
    """
    anatomy, number = subject.anatomy, len(examples)
    own = token_of_own_head(anatomy)
    rows = len(examples.encoded)
    layers = chosen_layers(anatomy.num_layers, anatomy.hidden_size, rows)
    features_RCH = np.zeros((rows, len(layers), anatomy.hidden_size), dtype=np.float32)
    done = 0
    for indices, mask_BT, states in capture_hidden_states(
        subject.model,
        anatomy,
        examples.encoded,
        subject.pad_id,
        subject.batch_size,
        subject.precision,
    ):
        for place, layer in enumerate(layers):
            pooled_BH = pool(states[layer].float(), mask_BT, own if pooling == "model" else pooling)
            features_RCH[indices, place] = pooled_BH.cpu().numpy()
        done += len(indices)
        progress(done * number // rows)
    return examples.text_means(features_RCH).reshape(number, -1)


def chosen_layers(blocks: int, hidden_size: int, texts: int) -> list[int]:
    """Which states are read, from the top down; 0 would be the embeddings."""
    room = min(MOST_FEATURES, _MOST_BYTES // (8 * max(texts, 1)))
    number = max(1, min(blocks, room // hidden_size))
    return [round(blocks - i * blocks / number) for i in range(number)]
