"""Each loss against its paper's formula, on log-probabilities made up by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from welltuned.tasks.preference import Preference
from welltuned.tasks.preference.losses import IpoLoss, OrpoLoss, PairLoss, SigmoidLoss, SimpoLoss

Formula = Callable[[float, float, float], float]

BETTER = torch.tensor([-0.5, -2.0, -0.01], dtype=torch.float64)
WORSE = torch.tensor([-1.5, -0.25, -3.0], dtype=torch.float64)
MARGINS = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def sigmoid(better: float, worse: float, margin: float) -> float:
    right = sigma(0.3 * (better - worse) - margin)
    return -(0.9 * math.log(right) + 0.1 * math.log(1 - right))


def ipo(better: float, worse: float, margin: float) -> float:
    return (better - worse - 1 / (2 * 0.3)) ** 2


def simpo(better: float, worse: float, margin: float) -> float:
    return -math.log(sigma(2.5 * better - 2.5 * worse - 1.25))


def orpo(better: float, worse: float, margin: float) -> float:
    odds = [math.exp(x) / (1 - math.exp(x)) for x in (better, worse)]
    return -better - 0.2 * math.log(sigma(math.log(odds[0] / odds[1])))


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        (SigmoidLoss(0.3, 0.1), sigmoid),
        (IpoLoss(0.3), ipo),
        (SimpoLoss(2.5, 1.25), simpo),
        (OrpoLoss(0.2), orpo),
    ],
)
def test_the_loss_is_the_papers(loss: PairLoss, formula: Formula) -> None:
    found = loss.losses(BETTER, WORSE, MARGINS).tolist()
    rows = torch.stack([BETTER, WORSE, MARGINS], dim=1).tolist()
    wanted = [formula(*row) for row in rows]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_rewards_are_what_the_losses_are_functions_of() -> None:
    values = np.array([-0.5, -2.0])
    assert SimpoLoss(2.5, 1.0).rewards(values).tolist() == [-1.25, -5.0]
    odds = np.exp(values) / (1 - np.exp(values))
    assert OrpoLoss(0.1).rewards(values) == pytest.approx(np.log(odds))


def test_the_odds_of_what_is_certain_are_finite_and_so_is_their_gradient() -> None:
    sure = torch.zeros(1, requires_grad=True)
    loss = OrpoLoss(0.1).losses(sure, torch.tensor([-1.0]), torch.zeros(1)).sum()
    loss.backward()
    assert sure.grad is not None
    assert bool(loss.isfinite()) and bool(sure.grad.isfinite().all())


def test_a_loss_has_the_numbers_that_were_asked_for_or_its_own() -> None:
    assert Preference().pair_loss == SigmoidLoss(0.1)
    assert Preference(loss="simpo").pair_loss == SimpoLoss(2.0, 0.5)
    assert Preference(loss="simpo", simpo_gamma=0.0).pair_loss == SimpoLoss(2.0, 0.0)
    assert Preference(loss="orpo", beta=0.4).pair_loss == OrpoLoss(0.4)
    needing = [name for name in ("sigmoid", "ipo", "simpo", "orpo")
               if Preference.model_validate({"loss": name}).pair_loss.needs_reference]  # fmt: skip
    assert needing == ["sigmoid", "ipo"]
