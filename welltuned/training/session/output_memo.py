"""Outputs of the validation split, kept with the weights that gave them.

Validation is read on schedule, by what finishes a run, and at its end; mostly with weights that it
was read with before: those of the last step, or the best ones, restored. What is kept is found
again by a hash of the weights, so nobody has to know what changes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection

import numpy as np
from torch import nn

from welltuned.engines import distributed
from welltuned.models.freezing import hash_weights
from welltuned.models.sharding import is_sharded


class OutputMemo:
    """The outputs of the last reading, and those of the best weights so far."""

    def __init__(self) -> None:
        self._last: tuple[str, np.ndarray] | None = None
        self._best: tuple[str, np.ndarray] | None = None

    def outputs(self, weights: str, read: Callable[[], np.ndarray]) -> np.ndarray:
        """What was read with these weights, else what `read` gives."""
        for kept in (self._last, self._best):
            if kept is not None and kept[0] == weights:
                self._last = kept
                return kept[1]
        self._last = weights, read()
        return self._last[1]

    def keep_last(self) -> None:
        """The last reading was that of the best weights."""
        self._best = self._last


def weights_key(model: nn.Module, trainable: Collection[str], precision: str) -> str:
    """The same for equal weights in equal precision. Frozen weights do not change in a run, but
    for what they are stored in."""
    named = list(model.named_parameters())
    digest = hashlib.blake2b(precision.encode(), digest_size=16)
    for name, parameter in named:
        digest.update(f"{name} {parameter.dtype}\n".encode())
    found = hash_weights([(name, weight) for name, weight in named if name in trainable])
    for name, value in found.items():
        digest.update(f"{name} {value}\n".encode())
    # Of sharded weights each process knows its parts, and all have to find the same.
    own = digest.hexdigest()
    return " ".join(distributed.gathered(own)) if is_sharded(model) else own
