"""Hidden states as features, block by block.

Whatever stands on the trunk (a head, an output layer) is passed by, and of an encoder-decoder the
decoder. What a strategy has put into it is not: a prompt is read along, and its places are not in
the states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import evaluation_batches
from welltuned.data.tokens.encoding import Encoded, pad
from welltuned.models.anatomy import Anatomy, unwrapped
from welltuned.models.freezing import in_eval_mode
from welltuned.models.modeling_pooled import pool
from welltuned.models.sharding import reading, through

Precision = Callable[[], AbstractContextManager[object]]
"""Makes the context that forward passes run in."""

_READ = ("input_ids", "attention_mask", "token_type_ids")


def trunk_of(model: nn.Module, anatomy: Anatomy) -> nn.Module:
    """What reads texts inside a model with a head, wrapped by PEFT or not: the trunk, or of an
    encoder-decoder the encoder."""
    trunk: nn.Module = unwrapped(model).get_submodule(anatomy.reading.trunk)
    return trunk


def states(
    model: nn.Module, anatomy: Anatomy, batch: dict[str, torch.Tensor], last_only: bool = False
) -> tuple[torch.Tensor, ...]:
    """Hidden states of a batch, each (B, T, H): the embeddings, then what every block wrote.

    The last ones are what the head reads: after the final norm, where there is one.
    """
    given: dict[str, Any] = {name: batch[name] for name in _READ if name in batch}
    if anatomy.kind == "decoder":
        given["use_cache"] = False
    if last_only:  # which the frozen-boundary cache may have
        return (trunk_of(model, anatomy)(**given).last_hidden_state,)
    outputs = trunk_of(model, anatomy)(**given, output_hidden_states=True)
    found: tuple[torch.Tensor, ...] = outputs.hidden_states
    assert len(found) == anatomy.num_layers + 1
    return found


def capture_hidden_states(
    model: nn.Module,
    anatomy: Anatomy,
    encoded: Encoded,
    pad_id: int,
    batch_size: int,
    precision: Precision = nullcontext,
    last_only: bool = False,
) -> Iterator[tuple[np.ndarray, torch.Tensor, tuple[torch.Tensor, ...]]]:
    """(indices (B), mask (B, T), states) of every text once, in eval mode, without gradients.

    Texts of like length come together.
    """
    device = next(model.parameters()).device
    with in_eval_mode(model):
        for indices in evaluation_batches(encoded.lengths, batch_size):
            padded = pad(encoded, indices.tolist(), pad_id)
            batch = {
                name: torch.from_numpy(padded[name]).to(device) for name in _READ if name in padded
            }
            with reading(model), precision():
                found = through(model, partial(states, model, anatomy, batch, last_only))
                yield indices, batch["attention_mask"], found


def token_of_own_head(anatomy: Anatomy) -> str:
    """What a family's own head reads of a text, where it reads a single token."""
    return "last" if anatomy.kind == "decoder" else "first"


def pooled_states(
    model: nn.Module,
    anatomy: Anatomy,
    encoded: Encoded,
    pad_id: int,
    pooling: str = "mean",
    batch_size: int = 64,
    precision: Precision = nullcontext,
    last_only: bool = False,
) -> np.ndarray:
    """Pooled hidden states (L + 1, N, H) of N texts: the embeddings' first, then each block's.

    Only the pooled ones are kept; with `last_only` only those that the head reads, (1, N, H).
    `model` as pooling is the first token for encoders and the last one for decoders,
    which is what the families' own heads read.
    """
    chosen = token_of_own_head(anatomy) if pooling == "model" else pooling
    layers = 1 if last_only else anatomy.num_layers + 1
    features_LNH = np.zeros((layers, len(encoded), anatomy.hidden_size), dtype=np.float32)
    for indices, mask_BT, found in capture_hidden_states(
        model, anatomy, encoded, pad_id, batch_size, precision, last_only
    ):
        for layer, state_BTH in enumerate(found):
            pooled_BH = pool(state_BTH.float(), mask_BT, chosen)
            features_LNH[layer, indices] = pooled_BH.cpu().numpy()
    return features_LNH


def word_states(
    model: nn.Module,
    anatomy: Anatomy,
    encoded: Encoded,
    places: list[np.ndarray],
    pad_id: int,
    batch_size: int = 64,
    precision: Precision = nullcontext,
) -> np.ndarray:
    """Hidden states (L + 1, M, H) of single tokens: of each text those at its `places`, in order.

    M is the number of all places together.
    """
    starts = np.concatenate([[0], np.cumsum([len(place) for place in places])])
    shape = anatomy.num_layers + 1, int(starts[-1]), anatomy.hidden_size
    features_LMH = np.zeros(shape, dtype=np.float32)
    for indices, _, found in capture_hidden_states(
        model, anatomy, encoded, pad_id, batch_size, precision
    ):
        for layer, state_BTH in enumerate(found):
            state = state_BTH.float().cpu().numpy()
            for row, text in enumerate(indices):
                features_LMH[layer, starts[text] : starts[text + 1]] = state[row, places[text]]
    return features_LMH
