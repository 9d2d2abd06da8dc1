"""Class weights of the loss: as they were given, or so that classes have the same say.

Of one label a text, a class's weight is that of its examples. Of several labels, a label's weight
is that of the texts that have it, beside the 1 of those that do not (`pos_weight` in torch).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from welltuned.errors import Faults

Asked = str | Mapping[str, float]
"""`none`, `auto`, or weights by name."""


def weights_of_classes(
    asked: Asked, names: tuple[str, ...], train_targets: np.ndarray, faults: Faults
) -> tuple[float, ...] | None:
    """The weights (K), or None without any; names that are no labels are faults.

    Targets are class numbers (N) or flags (N, K).
    """
    if asked == "none":
        return None
    if not isinstance(asked, Mapping):
        return balanced(train_targets, len(names))
    missing = set(names) ^ set(asked)
    if missing:
        faults.add(
            "task.class_weights_differ_from_labels",
            "'task.class_weights' and the labels differ in {differing}",
            None,
            "give a weight for each of: {labels}",
            differing=sorted(missing),
            labels=", ".join(names),
        )
        return None
    return tuple(asked[name] for name in names)


def balanced(targets: np.ndarray, number: int) -> tuple[float, ...]:
    """Classes weigh the same in sum; and so do a label's texts and all the others."""
    if targets.ndim == 1:
        counts_K = np.bincount(targets, minlength=number)
        weights_K = len(targets) / (len(counts_K) * np.maximum(counts_K, 1))
    else:
        counts_K = targets.sum(axis=0, dtype=np.float64)
        weights_K = np.maximum(len(targets) - counts_K, 1) / np.maximum(counts_K, 1)
    return tuple(float(weight) for weight in weights_K)
