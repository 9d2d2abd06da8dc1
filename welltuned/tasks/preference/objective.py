"""DPO and IPO: losses of how much likelier responses have become than they were."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from welltuned.data.encoding import IGNORED
from welltuned.tasks import responses
from welltuned.tasks.examples import Examples
from welltuned.tasks.generation.problem import LanguageModelling, judge_tokens

if TYPE_CHECKING:
    import torch
    from torch import nn

    from welltuned.tasks.parts import Batch
    from welltuned.tasks.preference.config import Preference


@dataclass(frozen=True)
class PreferenceObjective(LanguageModelling):
    """A language model's head, learning from pairs beside the untuned model."""

    config: Preference

    needs_reference: ClassVar[bool] = True

    def with_reference(self, examples: Examples, outputs_NK: np.ndarray) -> Examples:
        targets = np.empty(len(examples), dtype=object)
        assert examples.targets is not None
        for i, (target, logprobs_W) in enumerate(zip(examples.targets, outputs_NK, strict=True)):
            targets[i] = replace(target, reference_K=logprobs_W[: len(target.lengths_K)])
        return replace(examples, targets=targets)

    def count(self, batch: Batch) -> float:
        return float(batch["weights"].sum())

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        ratios_R = self._logprobs(model, batch) - batch["reference"]
        better_Q, worse_Q = ratios_R[batch["pairs"]].unbind(dim=1)
        losses_Q = self._losses(better_Q - worse_Q, batch["margins"])
        return (batch["weights"] * losses_Q).sum()

    def _losses(self, ratios_Q: torch.Tensor, margins_Q: torch.Tensor) -> torch.Tensor:
        """Of log-ratios: by how much more the better response has gained than the worse one."""
        from torch.nn.functional import logsigmoid

        beta, doubt = self.config.beta, self.config.label_smoothing
        if self.config.loss == "ipo":
            return (ratios_Q - 1 / (2 * beta)).square()
        differences_Q = beta * ratios_Q - margins_Q
        return -(1 - doubt) * logsigmoid(differences_Q) - doubt * logsigmoid(-differences_Q)

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each prompt's responses (B, W); 0 where there is none."""
        return responses.in_grid(self._logprobs(model, batch), batch["grid"])

    def _logprobs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """The log-probability of each row's response (R): its tokens' sum, for ipo their mean."""

        def compute(rows: Batch) -> torch.Tensor:
            found = judge_tokens(model, rows)
            sums_R = found.losses_M.new_zeros(len(rows["input_ids"]))
            return sums_R.index_add(0, found.rows_M, -found.losses_M)

        names = ("input_ids", "attention_mask", "labels")
        logprobs_R = responses.read_rows(compute, {name: batch[name] for name in names})
        if self.config.loss == "ipo":
            tokens_R = (batch["labels"][:, 1:] != IGNORED).sum(dim=1)
            return logprobs_R / tokens_R.clamp(min=1)
        return logprobs_R
