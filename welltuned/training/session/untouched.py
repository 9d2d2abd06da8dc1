"""Names of models that no step has changed, by which their answers are found again.

Every cell of a comparison, every trial of a sweep and tomorrow's run ask the same base model the
same. So what it answers is known by its weights, and by what it is computed with.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from welltuned.artifact.manifest import Origin
from welltuned.artifact.verify import WeightHashes
from welltuned.data.storage.shared_file import fingerprint
from welltuned.models.anatomy import Anatomy, undecorated, unwrapped
from welltuned.models.frozen_cache.cached_trunk import kept_depth
from welltuned.models.frozen_cache.frozen_part import computed_with
from welltuned.runs.code_version import code_version


def base_weights(model: nn.Module, before: WeightHashes, origin: Origin) -> dict[str, str]:
    """Hashes of the base model's weights, by the names they have without a strategy.

    What was put in beside them does not count, for it is switched off when the base is asked; nor
    does a new head.
    """
    injected = before.trainable if hasattr(model, "peft_config") else frozenset()
    return {
        undecorated(name): value
        for name, value in before.hashes.items()
        if name not in injected and undecorated(name) not in origin.new
    }


def model_name(
    model: nn.Module, anatomy: Anatomy, weights: Mapping[str, str], *besides: object
) -> str:
    """A hash that models share which answer the same, bit for bit.

    It follows from their weights, from what else decides about their answers, and from this code,
    libraries, processor and threads; and from how many blocks run without padding, since that
    adds in another order.
    """
    device = next(model.parameters()).device.type
    trunk, reading = (unwrapped(model).get_submodule(a.trunk) for a in (anatomy, anatomy.reading))
    arithmetic = [*computed_with(trunk), device, torch.get_num_threads(), kept_depth(reading)]
    return fingerprint([sorted(weights.items()), arithmetic, code_version(), *besides])
