"""What a tuned model puts out for texts and, from the same pass, what its trunk makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from welltuned.data.batching import evaluation_batches
from welltuned.data.tokens.windows import WINDOWS
from welltuned.evaluation.predict import to_device
from welltuned.models.anatomy import unwrapped
from welltuned.models.freezing import in_eval_mode
from welltuned.models.graph_attention import text_mask
from welltuned.models.modeling_pooled import pool
from welltuned.tasks import Examples, Problem
from welltuned.tasks.rows import mean_of_rows, reading_order

if TYPE_CHECKING:
    from welltuned.tasks.parts import Batch

Read = tuple[torch.Tensor, torch.Tensor | None]
"""Hidden states (B, T, H), and which of them are of tokens (B, T)."""


def outputs_and_features(
    model: nn.Module,
    problem: Problem,
    examples: Examples,
    pad_id: int,
    batch_size: int,
    precision: AbstractContextManager[object] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (N, K) as evaluation reads them, and the mean of each text's last states (N, H)."""
    device = next(model.parameters()).device
    outputs: dict[int, np.ndarray] = {}
    features: dict[int, np.ndarray] = {}
    with in_eval_mode(model), torch.inference_mode(), precision or nullcontext():
        for indices in evaluation_batches(examples.lengths, batch_size):
            batch = to_device(problem.codec.collate(examples, indices.tolist(), pad_id), device)
            with last_states(model) as read:
                part = problem.objective.outputs(model, batch).float().cpu().numpy()
            mean_BH = _means(read, batch, problem.codec.pairs_of_rows).cpu().numpy()
            outputs |= zip(indices.tolist(), part, strict=True)
            features |= zip(indices.tolist(), mean_BH, strict=True)
    number = range(len(examples))
    return np.stack([outputs[i] for i in number]), np.stack([features[i] for i in number])


def _means(read: list[Read], batch: Batch, in_order: bool) -> torch.Tensor:
    """The mean of each text's last states (B, H); of its rows' means, where it has several."""
    if WINDOWS not in batch:
        states_BTH, mask_BT = read[-1]
        return pool(states_BTH.float(), mask_BT, "mean")
    means_RH = torch.cat([pool(states.float(), mask, "mean") for states, mask in read])
    if not in_order:
        means_RH = means_RH[reading_order(batch["attention_mask"]).argsort()]
    return mean_of_rows(means_RH, batch[WINDOWS])


@contextmanager
def last_states(model: nn.Module) -> Iterator[list[Read]]:
    """What the trunk of a model with a head puts out within this context, call by call.

    Prefixes are in the mask and not in the states, so the mask is read from its end.
    """
    found: list[Read] = []

    def note(_: nn.Module, __: Any, given: dict[str, Any], said: Any) -> None:
        states_BTH, mask_BT = said.last_hidden_state, given.get("attention_mask")
        if mask_BT is not None and mask_BT.ndim == 4:  # of a graph, whose nodes are no tokens
            mask_BT = text_mask(mask_BT).long()
        elif mask_BT is not None:
            mask_BT = mask_BT[:, -states_BTH.shape[1] :] if mask_BT.ndim == 2 else None
        found.append((states_BTH, mask_BT))

    hook = unwrapped(model).base_model.register_forward_hook(note, with_kwargs=True)
    try:
        yield found
    finally:
        hook.remove()
