"""Batched sampling with the key/value cache.

Tokens are drawn from softmax(logits / temperature) alone. There is no top-k, no top-p and
no penalty, for the distribution that samples has to be the one that is judged. What the
policy thought of each token is kept as it is drawn, so no later pass has to ask again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from welltuned.models.language_head import LanguageHead, tempered
from welltuned.rlhf.actors.base import require_finite


@dataclass(frozen=True)
class SampledTokens:
    """B responses of at most T tokens; zero (or false) beyond each one's end."""

    tokens_BT: torch.Tensor
    mask_BT: torch.Tensor
    logprobs_BT: torch.Tensor
    values_BT: torch.Tensor
    entropies_BT: torch.Tensor
    ended_B: torch.Tensor

    @classmethod
    def none(cls, draws_BT: torch.Tensor) -> SampledTokens:
        """Nothing said yet, where these numbers are to be drawn by."""

        def zeros(dtype: torch.dtype) -> torch.Tensor:
            return torch.zeros_like(draws_BT, dtype=dtype)

        tokens_BT, mask_BT, ended_B = zeros(torch.long), zeros(torch.bool), zeros(torch.bool)[:, 0]
        logprobs_BT, values_BT, entropies_BT = (zeros(torch.float32) for _ in range(3))
        return cls(tokens_BT, mask_BT, logprobs_BT, values_BT, entropies_BT, ended_B)

    def record(self, rows_G: torch.Tensor, step: int, *columns_G: torch.Tensor) -> None:
        """Token, log-probability, value and entropy at one step of the rows that still go on."""
        self.mask_BT[rows_G, step] = True
        fields = self.tokens_BT, self.logprobs_BT, self.values_BT, self.entropies_BT
        for field_BT, column_G in zip(fields, columns_G, strict=True):
            field_BT[rows_G, step] = column_G

    def trimmed(self) -> SampledTokens:
        """Without the columns that no response reaches."""
        length = int(self.mask_BT.any(dim=0).sum())
        return SampledTokens(*(x[:, :length] if x.ndim > 1 else x for x in vars(self).values()))


@torch.no_grad()
def sample(
    model: nn.Module,
    value: nn.Module,
    ids_RQ: torch.Tensor,
    mask_RQ: torch.Tensor,
    draws_BT: torch.Tensor,
    stops: Sequence[int],
    temperature: float,
    said: SampledTokens,
    rows_R: torch.Tensor,
) -> None:
    """Put into `said`, at some rows, the responses to prompts that are padded on the left.

    Each goes on until it has said a stop token, or T tokens. Every token is drawn by a random
    number of its own, `draws_BT` from 0 to 1. So a row leaves the batch when its response has
    ended: what the others say does not depend on it.
    """
    head, stops_S = LanguageHead(model), torch.tensor(list(stops), device=ids_RQ.device)
    rows_G, ids, mask, cache = rows_R, ids_RQ, mask_RQ, None
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    for step, draws_B in enumerate(draws_BT.unbind(dim=1)):
        found: Any = head.trunk(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        cache, hidden_GH = found.past_key_values, found[0][:, -1]
        logprobs_GV = functional.log_softmax(tempered(head.logits(hidden_GH), temperature), dim=-1)
        shares_GV = logprobs_GV.exp()
        entropies_G = -(shares_GV * logprobs_GV).sum(dim=-1)
        require_finite(entropies_G)  # they are not where any log-probability is not
        ids = _drawn(shares_GV, draws_B[rows_G].unsqueeze(1))
        chosen_G = logprobs_GV.gather(1, ids)[:, 0]
        said.record(rows_G, step, ids[:, 0], chosen_G, value(hidden_GH), entropies_G)
        positions = positions[:, -1:] + 1
        mask = functional.pad(mask, (0, 1), value=1)
        ends_G = torch.isin(ids[:, 0], stops_S)
        if not bool(ends_G.any()):
            continue
        said.ended_B[rows_G[ends_G]] = True
        left = (~ends_G).nonzero()[:, 0]
        if not len(left):
            return
        rows_G, ids, positions, mask = (x[left] for x in (rows_G, ids, positions, mask))
        cache.reorder_cache(left)


def joined(steps: Sequence[torch.Tensor], mask_RT: torch.Tensor) -> torch.Tensor:
    """States (R, Q + T − 1, H) from those of each step of `sample`, the first being the prompts'.

    Zero where a step had no such row. The last token that a row says is never read.
    """
    prompts_RQH, *later = steps
    said = prompts_RQH.new_zeros(len(prompts_RQH), len(later), prompts_RQH.shape[-1])
    for column, states_G1H in enumerate(later):
        said[mask_RT[:, column + 1], column] = states_G1H[:, 0]
    return torch.cat([prompts_RQH, said], dim=1)


def _drawn(shares_GV: torch.Tensor, draws_G1: torch.Tensor) -> torch.Tensor:
    """The token (G, 1) in whose part of the line each number lies, where shares are parts of it.

    In float64, so that rare tokens of a large vocabulary keep their share.
    """
    sums_GV = shares_GV.cumsum(dim=-1, dtype=torch.float64)
    tokens_G1 = torch.searchsorted(sums_GV, draws_G1 * sums_GV[:, -1:], right=True)
    return tokens_G1.clamp(max=shares_GV.shape[-1] - 1)
