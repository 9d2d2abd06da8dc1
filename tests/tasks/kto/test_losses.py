"""The loss by its formula, and what balances rare thumbs."""

from __future__ import annotations

import math

import pytest
import torch

from welltuned.tasks.kto.losses import balanced_weights, kto_losses


def test_the_loss_is_the_papers() -> None:
    rewards, good = [0.5, -1.0, 2.0], [True, False, False]
    found = kto_losses(torch.tensor(rewards), torch.tensor(0.25), torch.tensor(good), 1.5, 2.0)
    wanted = [
        1.5 * (1 - 1 / (1 + math.exp(-(0.5 - 0.25)))),
        2.0 * (1 - 1 / (1 + math.exp(-(0.25 + 1.0)))),
        2.0 * (1 - 1 / (1 + math.exp(-(0.25 - 2.0)))),
    ]
    assert found.tolist() == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    ("asked", "ups", "downs", "found"),
    [
        (("auto", "auto"), 100, 100, (1.0, 1.0)),
        (("auto", "auto"), 120, 100, (1.0, 1.0)),  # 6/5 is between 1 and 4/3
        (("auto", "auto"), 300, 100, (1.0, 3.0)),
        (("auto", "auto"), 100, 250, (2.5, 1.0)),
        ((2.0, "auto"), 100, 100, (2.0, 2.0)),
        (("auto", 3.0), 100, 100, (3.0, 3.0)),
        ((1.0, 7.0), 1, 100, (1.0, 7.0)),
    ],
)
def test_the_rarer_kind_is_raised_to_the_papers_ratio(
    asked: tuple[float, float], ups: int, downs: int, found: tuple[float, float]
) -> None:
    assert balanced_weights(*asked, ups, downs) == pytest.approx(found)
