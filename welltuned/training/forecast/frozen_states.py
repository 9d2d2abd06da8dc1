"""What a run saves where frozen blocks run once for each example, and what keeping that takes."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from welltuned.models.anatomy import unwrapped
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.frozen_cache.lower_blocks import LowerBlocks, UnfitError
from welltuned.models.frozen_cache.row_store import STORE
from welltuned.models.frozen_cache.token_rows import TokenRows
from welltuned.training.forecast.meta_tracer import Trace
from welltuned.training.forecast.prices import Machine
from welltuned.training.forecast.rehearsal import Rehearsal
from welltuned.training.preparation.prepare import RunPlan
from welltuned.training.session.frozen_blocks import keeps_states


@dataclass(frozen=True)
class FrozenStates:
    """States above the blocks that are frozen now."""

    seconds: float = 0.0
    """What computing the states of one position takes..."""
    bytes: int = 0
    """... and what holding them does."""

    @classmethod
    def of(cls, rehearsal: Rehearsal, batch: np.ndarray, machine: Machine) -> FrozenStates:
        """As a batch of the training data shows them; nothing where a run would keep none."""
        prepared, anatomy = rehearsal.prepared, rehearsal.prepared.anatomy.reading
        if anatomy.shared_layers is not None:
            return cls()
        trunk = unwrapped(rehearsal.model).get_submodule(anatomy.trunk)
        depth = FrozenPart(rehearsal.model, anatomy).depth()
        if not depth or not keeps_states(prepared.config.training, rehearsal.device):
            return cls()
        if not prepared.learned.follows_from_tokens:
            return cls()
        blocks = LowerBlocks.of(rehearsal.model, anatomy)
        blocks.skip_embeddings = False  # some families need what these hand on
        names = inspect.signature(trunk.forward).parameters
        given: list[dict[str, Any]] = []

        def look() -> Trace:
            return rehearsal.look(prepared.learned, batch)

        def note(module: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given.append({**dict(zip(names, args, strict=False)), **kwargs})

        hook = trunk.register_forward_pre_hook(note, with_kwargs=True)
        try:
            states_BTH = blocks.run(look, [depth])[depth]
        except UnfitError:
            return cls()
        finally:
            hook.remove()
        if len(given) != 1 or (rows := TokenRows.of(given[0])) is None:
            return cls()
        with blocks.skipped(depth, states_BTH):
            upper = look()
        positions = len(rows) * rows.width
        lower = machine.seconds(look()) - machine.seconds(upper)
        return cls(max(0.0, lower) / positions, states_BTH.nbytes // positions)

    def held(self, prepared: RunPlan) -> int:
        """Bytes of memory for the states of all splits; what has no room there lies on disk."""
        splits = prepared.examples.values()
        tokens = sum(int(examples.encoded.lengths.sum()) for examples in splits)
        return min(STORE.limit, tokens * self.bytes) if self.bytes else 0
