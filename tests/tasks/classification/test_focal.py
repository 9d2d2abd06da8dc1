"""Focal loss by its definition."""

from __future__ import annotations

import pytest
import torch

from welltuned.tasks.classification.focal import focal_losses

CHANCES = torch.tensor([0.05, 0.5, 0.9, 0.999])


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_it_is_the_loss_times_a_power_of_the_doubt(gamma: float) -> None:
    wanted = -((1 - CHANCES) ** gamma) * CHANCES.log()
    torch.testing.assert_close(focal_losses(CHANCES.log(), gamma), wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0])
def test_what_is_certain_has_a_finite_gradient(gamma: float) -> None:
    log_chances = torch.tensor([0.0, -200.0], requires_grad=True)
    focal_losses(log_chances, gamma).sum().backward()
    assert log_chances.grad is not None and log_chances.grad.isfinite().all()
