"""Rows of tokens that a model reads beside each other, of which several may be one example's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from welltuned.data.tokens.windows import NO_ROW

if TYPE_CHECKING:
    import torch

    from welltuned.tasks.parts import Batch

_AT_ONCE = 64
"""Rows per forward pass when nothing is learned; an example may have many."""


def read_rows(compute: Callable[[Batch], torch.Tensor], inputs: Batch) -> torch.Tensor:
    """What `compute` makes of each row of a batch (R, …).

    Without gradients a few rows at a time, which then have no more padding than they need.
    """
    import torch

    if torch.is_grad_enabled():
        return compute(inputs)
    order_R = reading_order(inputs["attention_mask"])
    parts = []
    for rows in order_R.split(_AT_ONCE):
        longest = int(inputs["attention_mask"][rows[0]].sum())
        parts.append(compute({name: value[rows, :longest] for name, value in inputs.items()}))
    return torch.cat(parts)[order_R.argsort()]


def reading_order(mask_RT: torch.Tensor) -> torch.Tensor:
    """The order in which rows are read without gradients (R): the longest first."""
    return mask_RT.sum(dim=1).argsort(descending=True, stable=True)


def read_tokens(compute: Callable[[Batch], torch.Tensor], inputs: Batch) -> torch.Tensor:
    """What `compute` makes of each token of a batch (R, T, …); a few rows at a time, likewise."""
    import torch

    if torch.is_grad_enabled() or len(inputs["input_ids"]) <= _AT_ONCE:
        return compute(inputs)
    parts = zip(*(value.split(_AT_ONCE) for value in inputs.values()), strict=True)
    return torch.cat([compute(dict(zip(inputs, part, strict=True))) for part in parts])


def mean_of_rows(values_RH: torch.Tensor, table_BW: torch.Tensor) -> torch.Tensor:
    """The mean over each example's rows (B, …); `table_BW` says which are whose, or `NO_ROW`."""
    seen_BW1 = (table_BW != NO_ROW).unsqueeze(-1)
    rows_BWH = values_RH[table_BW.clamp(min=0)].masked_fill(~seen_BW1, 0.0)
    return rows_BWH.sum(dim=1) / seen_BW1.sum(dim=1)
