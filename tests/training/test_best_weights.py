"""A run ends with its best weights, and says so where they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from welltuned.runs import Run
from welltuned.runs.checkpoints import save_checkpoint
from welltuned.training.best_weights import restore_best


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The weights of steps 2 and 4 are those numbers."""
    run = Run(tmp_path)
    for step in (2, 4):
        save_checkpoint(run.checkpoints, step, {"weight": torch.full((1, 1), float(step))}, {})
    return run


def test_the_best_are_put_back_and_others_go(run: Run) -> None:
    model = nn.Linear(1, 1, bias=False)
    assert "at step 2;" in str(restore_best(model, run, 2))
    assert model.weight.item() == 2
    assert [path.name for path in run.checkpoints.iterdir()] == ["step-2"]


def test_damaged_ones_are_told(run: Run) -> None:
    (run.checkpoints / "step-4" / "weights.safetensors").write_bytes(b"")
    model = nn.Linear(1, 1, bias=False)
    assert "of step 4, are damaged; those of step 2" in str(restore_best(model, run, 4))
    assert model.weight.item() == 2


def test_without_any_the_last_ones_stay(tmp_path: Path) -> None:
    assert restore_best(nn.Linear(1, 1), Run(tmp_path), None) is None
