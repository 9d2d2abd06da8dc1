"""The frozen-boundary cache in a run: where it is used, and tried before the first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from welltuned.engines.device import autocast
from welltuned.evaluation.predict import predict_outputs
from welltuned.models.frozen_cache.cached_trunk import CachedTrunk
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.frozen_cache.row_store import STORE
from welltuned.models.sharding import is_sharded
from welltuned.training.observer import Observer

if TYPE_CHECKING:
    import torch

    from welltuned.engines.config import TrainingConfig
    from welltuned.training.session.session import LoadedModel

_TRIED = 4
"""Examples that it is tried on."""


def keep_frozen_states(loaded: LoadedModel, observer: Observer) -> CachedTrunk | None:
    """Let frozen blocks run once for each example, where that changes nothing.

    On other devices than a CPU no two batches add alike: there it is the user's choice.
    """
    keeps, anatomy = keeps_states(loaded.config.training, loaded.device), loaded.prepared.anatomy
    if anatomy.shared_layers is not None:
        if keeps and FrozenPart(loaded.model, anatomy).depth():
            observer.noted("frozen layers run in every pass, for one block is all of them")
        return None
    if is_sharded(loaded.model):
        if keeps and len(loaded.before.trainable) < len(loaded.before.hashes):
            observer.noted("frozen blocks run in every pass, for their weights are sharded")
        return None
    if not loaded.prepared.learned.follows_from_tokens:
        if keeps and len(loaded.before.trainable) < len(loaded.before.hashes):
            observer.noted("frozen blocks run in every pass, for rows are more than their tokens")
        return None
    if loaded.device.type != "cpu" and not keeps:
        return None
    trunk = CachedTrunk(
        loaded.model,
        anatomy.reading,
        _lowest(loaded),
        STORE if keeps else None,
        observer.noted,
    )
    if trunk.depth:
        examples = loaded.prepared.examples["train"]
        some = examples.take(list(range(min(_TRIED, len(examples)))))
        half = autocast(loaded.precision, loaded.device)
        predict_outputs(loaded.model, loaded.problem, some, loaded.prepared.pad_id, _TRIED, half)
    return trunk


def keeps_states(training: TrainingConfig, device: torch.device) -> bool:
    """Whether states are kept: on a CPU unless that is told off, elsewhere where it is told."""
    wanted = training.cache_frozen_blocks
    return wanted is True or (wanted == "auto" and device.type == "cpu")


def _lowest(loaded: LoadedModel) -> int | None:
    """The fewest blocks that will be frozen, where they become fewer one by one."""
    if not loaded.config.strategy.deepens:
        return None
    anatomy = loaded.prepared.anatomy.reading
    deepest = max(anatomy.depth(name) for name in loaded.before.trainable)
    return max(1, anatomy.num_blocks - deepest)
