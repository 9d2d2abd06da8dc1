"""Actor: policy, reference and value head on one backbone.

policy     the model as it trains
reference  the same model as it was: its adapter switched off or, where what trains cannot be
           switched off, the first values of its trainable weights put back for a while
value      a linear head on the policy's own hidden states, zero at first

No role needs a second trunk, and a pass that computes the same for two of them is made once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self

import torch
from torch import nn

from welltuned.engines.device import autocast
from welltuned.errors import Fault, RunFailed
from welltuned.models.frozen_cache.frozen_part import FrozenPart
from welltuned.models.frozen_cache.lower_blocks import LowerBlocks
from welltuned.rlhf.kl import divergence, k1
from welltuned.strategies import ParameterGroup

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy
    from welltuned.rlhf.policy import Policy
    from welltuned.rlhf.reference import ReferencePolicy


class DivergedError(RunFailed):
    """Training has left the range in which its numbers mean anything."""


def require_finite(logprobs: torch.Tensor) -> None:
    """Raise `DivergedError` when a policy can no longer be drawn from."""
    if not bool(logprobs.isfinite().all()):
        raise DivergedError(
            Fault("rlhf.probabilities_not_finite", "the policy's probabilities are not finite")
        )


# --- What is passed around -----------------------------------------------------


@dataclass(frozen=True)
class Rollout:
    """B responses of a policy, and what was thought of them when they were sampled.

    All tensors are zero (or false) where a response has no token.
    """

    prompts: list[str]
    responses: list[str]
    inputs: dict[str, torch.Tensor]
    """What the model reads to judge the responses again, row by row."""
    actions_BT: torch.Tensor
    """The tokens of the responses, or (B, 1) the numbers of the labels."""
    mask_BT: torch.Tensor
    """Where a response has a token, its end token included (bool)."""
    logprobs_BT: torch.Tensor
    references_BT: torch.Tensor
    values_BT: torch.Tensor
    entropies_BT: torch.Tensor
    ended_B: torch.Tensor
    """Whether each response came to its end by itself (bool)."""
    states: torch.Tensor | None = None
    """Hidden states (B, N, H) below the lowest weight that trains, where they are kept."""
    all_logprobs_BK: torch.Tensor | None = None
    all_references_BK: torch.Tensor | None = None
    """Of all K actions, where they are few."""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Cells of the rows that the prompts come from, which rewards read: for each column B."""

    def __len__(self) -> int:
        return len(self.prompts)

    def states_of(self, rows: torch.Tensor, columns: slice) -> torch.Tensor | None:
        """What is kept of some rows (R, N, H)."""
        return None if self.states is None else self.states[rows][:, columns]

    def kl(self) -> torch.Tensor:
        """Nats (B) that the policy is away from its reference in each response.

        The sum itself where all actions are known, else its estimate by what was sampled.
        """
        if self.all_logprobs_BK is not None and self.all_references_BK is not None:
            return divergence(self.all_logprobs_BK, self.all_references_BK)
        return self.log_ratios()

    def log_ratios(self) -> torch.Tensor:
        """log π − log π_ref of each response (B), which is what it has to pay for its divergence.

        Unlike `kl` it tells responses to one prompt apart.
        """
        ratios_BT = k1(self.logprobs_BT, self.references_BT)
        return ratios_BT.masked_fill(~self.mask_BT, 0).sum(dim=1)


@dataclass(frozen=True)
class TokenEstimates:
    """What the policy as it is now thinks of some rows of a rollout. Gradients flow."""

    logprobs_BT: torch.Tensor
    values_BT: torch.Tensor
    entropies_BT: torch.Tensor | None = None
    all_logprobs_BK: torch.Tensor | None = None


# --- Roles ---------------------------------------------------------------------


class PromptBatch(Protocol):
    """Some prompts, as an actor reads them."""

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Self:
        """Those at `indices`, in that order."""


class ValueHead(nn.Module):
    """V(s) from a hidden state: linear, in float32, zero at first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, H) -> (…)."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.linear(hidden.float()).squeeze(-1)


class NoValues(nn.Module):
    """In place of a value head where the algorithm needs none: zero, and nothing to learn."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """(…, H) -> (…)."""
        return hidden.new_zeros(hidden.shape[:-1], dtype=torch.float32)


# --- The actor -----------------------------------------------------------------


@dataclass
class Actor(ABC):
    """A policy with its reference and its value head, on one backbone.

    The model stays in eval mode throughout: dropout would make a policy that samples
    differ from the same policy judging what it sampled.
    """

    policy: Policy
    temperature: float
    rows_at_once: int
    """Rows per forward pass when nothing is learned."""
    has_values: bool = field(default=True, kw_only=True)
    """Whether there is a value head."""
    value: nn.Module = field(init=False)

    def __post_init__(self) -> None:
        self.model.eval()
        if hasattr(self.model, "peft_config"):
            from welltuned.models.folded_lora import fold_lora

            fold_lora(self.model)
        head = ValueHead(self.anatomy.hidden_size) if self.has_values else NoValues()
        self.value = head.to(self.device)

    @property
    def model(self) -> Any:
        return self.policy.model

    @property
    def anatomy(self) -> Anatomy:
        return self.policy.anatomy

    @property
    def reference(self) -> ReferencePolicy:
        return self.policy.reference

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def parameter_groups(self) -> list[ParameterGroup]:
        """The policy's groups; the value head is no part of the model."""
        return self.policy.strategy.parameter_groups(self.model, self.anatomy)

    def computing(self) -> AbstractContextManager[object]:
        """The precision that forward passes run in."""
        return autocast(self.policy.precision, self.device)

    @property
    def tolerance(self) -> float:
        """How far log-probabilities may differ that are computed in two ways."""
        return 5e-2 if self.policy.precision == "bf16" else 1e-3

    def noted(self) -> AbstractContextManager[list[torch.Tensor]]:
        """Each pass within this context adds to the list its states (B, T, H) below what trains.

        It adds none where the bottom block trains.
        """
        return self._blocks.noted(self._frozen.depth())

    def resumed(self, states_BTH: torch.Tensor | None) -> AbstractContextManager[None]:
        """A pass within this context begins above these states, where there are any.

        All of the model is in eval mode and the blocks below do not train, so they compute the same
        each time, for the policy and for its reference alike.
        """
        if states_BTH is None:
            return nullcontext()
        return self._blocks.skipped(self._frozen.depth(), states_BTH)

    @cached_property
    def _frozen(self) -> FrozenPart:
        return FrozenPart(self.model, self.anatomy)

    @cached_property
    def _blocks(self) -> LowerBlocks:
        blocks = LowerBlocks.of(self.model, self.anatomy)
        blocks.skip_embeddings = False  # a family may need what they hand on
        return blocks

    @abstractmethod
    def ask(self, texts: Sequence[object]) -> PromptBatch:
        """Prompts given one by one, such as texts or conversations."""

    @abstractmethod
    def rollout(self, asked: Any, generator: torch.Generator) -> Rollout:
        """A response to each prompt, drawn from the policy."""

    @abstractmethod
    def judge(self, rollout: Rollout, rows: torch.Tensor, entropy: bool = False) -> TokenEstimates:
        """Log-probabilities and values of some rows, in one pass of the trunk."""


# --- Rows ----------------------------------------------------------------------


def by_length(inputs: dict[str, torch.Tensor], rows: torch.Tensor, size: int) -> list[torch.Tensor]:
    """The rows in parts of at most `size`, rows of like length together: less padding."""
    lengths = inputs["attention_mask"][rows].sum(dim=1)
    return list(rows[lengths.argsort(descending=True, stable=True)].split(size))


def trimmed(
    inputs: dict[str, torch.Tensor], rows: torch.Tensor
) -> tuple[dict[str, torch.Tensor], slice]:
    """Some rows without the columns that are padding in all of them, and which columns stay."""
    used = inputs["attention_mask"][rows].any(dim=0).nonzero()
    columns = slice(int(used[0]), int(used[-1]) + 1)
    return {name: tensor[rows][:, columns] for name, tensor in inputs.items()}, columns


def assembled(
    kept: list[tuple[torch.Tensor, slice, torch.Tensor]], shape: torch.Size
) -> torch.Tensor | None:
    """States of parts of the rows as one tensor (B, N, H); None when there are none."""
    if not kept:
        return None
    whole = kept[0][2].new_zeros(*shape, kept[0][2].shape[-1])
    for rows, columns, states in kept:
        whole[rows, columns] = states
    return whole
