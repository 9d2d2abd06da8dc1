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

from welltuned.models.language_head import LanguageHead
from welltuned.rlhf.actors.base import require_finite
from welltuned.rlhf.kl import entropies


@dataclass(frozen=True)
class SampledTokens:
    """R responses of at most T tokens; zero (or false) beyond each one's end."""

    tokens_RT: torch.Tensor
    mask_RT: torch.Tensor
    logprobs_RT: torch.Tensor
    values_RT: torch.Tensor
    entropies_RT: torch.Tensor
    ended_R: torch.Tensor


@torch.no_grad()
def sample(
    model: nn.Module,
    value: nn.Module,
    ids_RQ: torch.Tensor,
    mask_RQ: torch.Tensor,
    length: int,
    stops: Sequence[int],
    pad_id: int,
    temperature: float,
    generator: torch.Generator,
) -> SampledTokens:
    """Responses to prompts padded on the left, until each has said a stop token, or `length`."""
    head, draw = LanguageHead(model), _generator_on(ids_RQ.device, generator)
    stops_S = torch.tensor(list(stops), device=ids_RQ.device)
    ids, mask, cache = ids_RQ, mask_RQ, None
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    going_R = torch.ones(len(ids_RQ), dtype=torch.bool, device=ids_RQ.device)
    steps: list[tuple[torch.Tensor, ...]] = []
    for _ in range(length):
        found: Any = head.trunk(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        cache, hidden_RH = found.past_key_values, found[0][:, -1]
        logits_RV = head.logits(hidden_RH).float() / temperature
        logprobs_RV = functional.log_softmax(logits_RV, dim=-1)
        require_finite(logprobs_RV)
        tokens_R1 = torch.multinomial(logprobs_RV.exp(), 1, generator=draw)
        tokens_R1 = tokens_R1.masked_fill(~going_R.unsqueeze(1), pad_id)
        chosen_R = logprobs_RV.gather(1, tokens_R1)[:, 0]
        noted = (chosen_R, value(hidden_RH), entropies(logprobs_RV))
        steps.append((tokens_R1[:, 0], going_R, *(x.masked_fill(~going_R, 0) for x in noted)))
        going_R = going_R & ~torch.isin(tokens_R1[:, 0], stops_S)
        if not bool(going_R.any()):
            break
        ids, positions = tokens_R1, positions[:, -1:] + 1
        mask = functional.pad(mask, (0, 1), value=1)
    tokens, mask, logprobs, values, unsure = (
        torch.stack(column, dim=1) for column in zip(*steps, strict=True)
    )
    return SampledTokens(tokens, mask, logprobs, values, unsure, ~going_R)


def _generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """The generator itself, or one on the device that follows from it."""
    if device.type == "cpu":
        return generator
    seed = int(torch.randint(2**62, (1,), generator=generator))
    return torch.Generator(device).manual_seed(seed)
