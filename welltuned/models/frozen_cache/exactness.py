"""Trials of whether kept states are what would be computed again, bit for bit.

A row is computed without padding: attention over other lengths adds in another order. It is
computed beside others of its length, and in batches of `LEAST` to `MOST` tokens, if the last bit
of its states does not depend on how many there are and where it stands among them. That is a matter
of the kernels that libraries choose for a size, and of vectors of numbers that a size does not
fill, so it is tried. Where it does depend, each row runs alone, which takes longer and is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from welltuned.models.frozen_cache.lower_blocks import LowerBlocks, UnfitError
from welltuned.models.frozen_cache.token_rows import TokenRows

LEAST, MOST = 64, 512
"""Tokens of rows that run together; longer rows run alone."""
_LENGTH, _FEW, _MANY = 9, 8, 57
"""Of rows that are tried together: with an odd length no vector comes out even."""

Compute = Callable[[TokenRows, np.ndarray], torch.Tensor]
"""States (R, T, H) of rows of one length."""


def refusal(
    blocks: LowerBlocks,
    depth: int,
    rows: TokenRows,
    compute: Compute,
    whole: Callable[[], torch.Tensor],
) -> str | None:
    """Why states cannot be kept; None where they can.

    `whole` gives the trunk's output for all rows of the batch, from wherever it begins.
    """
    try:
        if not _resumes(blocks, depth, rows, whole):
            return "what lies above them needs more than their states"
        first = np.zeros(1, dtype=np.int64)
        if not _alike(compute(rows, first), compute(rows, first)):
            return "they compute by chance"
    except UnfitError:
        return "they hand on more than hidden states"
    return None


def rows_agree(rows: TokenRows, compute: Compute) -> bool:
    """Whether rows have the same states, to the last bit, in any batch and anywhere in it."""
    tried = rows.windows(_LENGTH, _MANY)
    order = np.arange(_MANY)
    found = compute(tried, order)
    few = (order[start : start + _FEW] for start in (0, _FEW))
    return all(
        torch.equal(compute(tried, chosen), found[chosen]) for chosen in (order[::-1].copy(), *few)
    )


def _resumes(
    blocks: LowerBlocks, depth: int, rows: TokenRows, whole: Callable[[], torch.Tensor]
) -> bool:
    """Whether a pass above the blocks gives what a whole one gives, for real tokens.

    With what embeddings hand on, where it does not without.
    """
    states = blocks.run(whole, [depth])[depth]
    before = whole()
    real_BT = torch.from_numpy(np.arange(rows.width) < rows.lengths_B[:, None]).to(states.device)
    states = states * real_BT[:, :, None]
    for skip in (True, False):
        blocks.skip_embeddings = skip
        try:
            with blocks.skipped(depth, states):
                again = whole()
        except Exception:  # code of any family runs here, made to do what nobody foresaw
            continue
        if again.shape == before.shape and _alike(again[real_BT], before[real_BT]):
            return True
    return False


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal bit for bit on a CPU; elsewhere as nearly as its arithmetic is."""
    if one.device.type == "cpu":
        return torch.equal(one, other)
    return torch.allclose(one.float(), other.float(), rtol=1e-2, atol=1e-3)
