"""How likely a model finds whole responses, and how likely it found them before it was tuned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from welltuned.data.tokens.encoding import IGNORED
from welltuned.tasks import responses
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation.problem import LanguageModelling, judge_tokens
from welltuned.tasks.rows import read_rows

if TYPE_CHECKING:
    import torch
    from torch import nn

    from welltuned.tasks.parts import Batch


@dataclass(frozen=True)
class ResponseLikelihood(LanguageModelling):
    """A language model's head, learning from the log-probabilities of whole responses."""

    @property
    def averages(self) -> bool:
        """Whether a response's log-probability is the mean of its tokens', and not their sum."""
        return False

    def with_reference(self, examples: Examples, outputs_NK: np.ndarray) -> Examples:
        targets = np.empty(len(examples), dtype=object)
        assert examples.targets is not None
        for i, (target, logprobs_W) in enumerate(zip(examples.targets, outputs_NK, strict=True)):
            targets[i] = replace(target, reference_K=logprobs_W[: len(target.lengths_K)])
        return replace(examples, targets=targets)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each prompt's responses (B, W); 0 where there is none."""
        return responses.in_grid(self.logprobs(model, batch), batch["grid"])

    def logprobs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each row's response (R)."""

        def compute(rows: Batch) -> torch.Tensor:
            found = judge_tokens(model, rows)
            sums_R = found.losses_M.new_zeros(len(rows["input_ids"]))
            return sums_R.index_add(0, found.rows_M, -found.losses_M)

        names = ("input_ids", "attention_mask", "labels")
        logprobs_R = read_rows(compute, {name: batch[name] for name in names})
        if self.averages:
            tokens_R = (batch["labels"][:, 1:] != IGNORED).sum(dim=1)
            return logprobs_R / tokens_R.clamp(min=1)
        return logprobs_R
