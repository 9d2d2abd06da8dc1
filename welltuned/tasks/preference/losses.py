"""The losses of compared responses, each as its paper has it: functions of log-probabilities.

           a response's log-probability   less the untuned model's   the loss of a pair
sigmoid    summed over its tokens         yes                        −log σ(β·Δ − margin)
ipo        their mean                     yes                        (Δ − 1/(2β))²
simpo      their mean                     no                         −log σ(β·Δ − γ)
orpo       their mean                     no                         −ℓ_chosen − β·log σ(Δ log-odds)

Δ is the better response's less the worse one's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    import torch

_SURE = -1e-6
"""Mean log-probabilities closer to 0 count as this: the odds of what is certain are infinite."""


@dataclass(frozen=True)
class PairLoss(ABC):
    """What is learned from a pair, and what a response's reward is by that."""

    beta: float

    averages: ClassVar[bool] = True
    """Whether a response counts by the mean of its tokens' log-probabilities, and not their sum."""
    needs_reference: ClassVar[bool] = False
    """Whether the untuned model's log-probability is subtracted first."""
    takes_margins: ClassVar[bool] = False
    """Whether a pair may say by how much its better response has to be ahead."""

    @abstractmethod
    def losses(
        self, better_Q: torch.Tensor, worse_Q: torch.Tensor, margins_Q: torch.Tensor
    ) -> torch.Tensor:
        """The loss of each pair (Q)."""

    def rewards(self, values_K: np.ndarray) -> np.ndarray:
        """The rewards of responses, from what the loss is a function of."""
        return self.beta * values_K


@dataclass(frozen=True)
class SigmoidLoss(PairLoss):
    """DPO (Rafailov et al. 2023, arXiv 2305.18290): logistic regression on implicit rewards.

    With `label_smoothing` above 0 a judgement is wrong with that probability (conservative DPO,
    Mitchell 2023).
    """

    label_smoothing: float = 0.0

    averages: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = True
    takes_margins: ClassVar[bool] = True

    def losses(
        self, better_Q: torch.Tensor, worse_Q: torch.Tensor, margins_Q: torch.Tensor
    ) -> torch.Tensor:
        from torch.nn.functional import logsigmoid

        doubt = self.label_smoothing
        differences_Q = self.beta * (better_Q - worse_Q) - margins_Q
        return -(1 - doubt) * logsigmoid(differences_Q) - doubt * logsigmoid(-differences_Q)


@dataclass(frozen=True)
class IpoLoss(PairLoss):
    """IPO (Azar et al. 2023, arXiv 2310.12036): pushes until a pair is 1/(2β) apart, no further."""

    needs_reference: ClassVar[bool] = True

    def losses(
        self, better_Q: torch.Tensor, worse_Q: torch.Tensor, margins_Q: torch.Tensor
    ) -> torch.Tensor:
        return (better_Q - worse_Q - 1 / (2 * self.beta)).square()


@dataclass(frozen=True)
class SimpoLoss(PairLoss):
    """SimPO (Meng et al. 2024, arXiv 2405.14734): the reward is what the model generates by."""

    gamma: float = 0.0
    """By how much the better reward has to be ahead."""

    def losses(
        self, better_Q: torch.Tensor, worse_Q: torch.Tensor, margins_Q: torch.Tensor
    ) -> torch.Tensor:
        from torch.nn.functional import logsigmoid

        return -logsigmoid(self.beta * (better_Q - worse_Q) - self.gamma)


@dataclass(frozen=True)
class OrpoLoss(PairLoss):
    """ORPO (Hong et al. 2024, arXiv 2403.07691): fine-tuning on the better response, and odds.

    The first term is the mean loss of its tokens, as in supervised fine-tuning; β (λ in the
    paper) weighs the other one, which favours it over the worse response.
    """

    def losses(
        self, better_Q: torch.Tensor, worse_Q: torch.Tensor, margins_Q: torch.Tensor
    ) -> torch.Tensor:
        from torch.nn.functional import logsigmoid

        odds_Q = _log_odds(better_Q) - _log_odds(worse_Q)
        return -better_Q - self.beta * logsigmoid(odds_Q)

    def rewards(self, values_K: np.ndarray) -> np.ndarray:
        """Log-odds, whose differences the second term is of."""
        sure_K = np.minimum(values_K, _SURE)
        return sure_K - np.log(-np.expm1(sure_K))


def _log_odds(logprobs_Q: torch.Tensor) -> torch.Tensor:
    """log p − log(1 − p), where p is the geometric mean of the tokens' probabilities."""
    sure_Q = logprobs_Q.clamp(max=_SURE)
    return sure_Q - (-sure_Q.expm1()).log()
