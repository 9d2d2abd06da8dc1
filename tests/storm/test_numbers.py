"""A loss that is no number, or memory that runs out: no step is taken with it, and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from resuming import differing, left_by
from storming import INTERVAL, Storm, reached, saved, seeded
from welltuned.config import run_config_from
from welltuned.errors import RunFailed
from welltuned.runs import Run
from welltuned.runs.checkpoints import save_checkpoint
from welltuned.tasks.classification.single_label import CrossEntropy
from welltuned.training.train import resume_training, run_training

GROUP = "injected NaN, and memory that runs out"
MICRO_BATCHES = 18
"""Of the whole run, two a step."""


def out_of_memory(loss: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


def not_a_number(loss: torch.Tensor) -> torch.Tensor:
    return loss * float("nan")


FAULTS = {"run.out_of_memory": out_of_memory, "training.not_finite": not_a_number}


@pytest.fixture
def broken(
    asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[[int, Callable[[torch.Tensor], torch.Tensor]], tuple[Run, str]]:
    """`broken(number, fault)`: (a run of which all micro-batches from the n-th on meet a fault, as
    the smaller ones do that are tried where memory runs out, the code it told)."""
    loss_sum = CrossEntropy.loss_sum

    def make(number: int, fault: Callable[[torch.Tensor], torch.Tensor]) -> tuple[Run, str]:
        calls = count(1)

        def broken_loss(problem: Any, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
            loss = loss_sum(problem, outputs, batch)
            return fault(loss) if loss.requires_grad and next(calls) >= number else loss

        with pytest.MonkeyPatch.context() as patch, pytest.raises(RunFailed) as caught:
            patch.setattr(CrossEntropy, "loss_sum", broken_loss)
            run_training(run_config_from(asked(tmp_path / "run")))
        return Run(tmp_path / "run"), caught.value.faults[0].code

    return make


def require_finite(run: Run) -> None:
    files = [file for part in (run.snapshots, run.checkpoints) for file in part.rglob("*.safe*")]
    kept = [tensor.float() for file in files for tensor in load_file(file).values()]
    assert all(bool(tensor.isfinite().all()) for tensor in kept), "a weight is not finite"


@pytest.mark.parametrize("code", FAULTS)
@seeded(1, 15)
def test_it_ends_before_its_step(
    number: int, code: str, broken: Any, unharmed: Any, storm: Storm
) -> None:
    micro_batch = storm.draw.randint(1, MICRO_BATCHES)
    with storm.fault():
        run, told = broken(micro_batch, FAULTS[code])
        assert told == code
        assert reached(run) == (micro_batch - 1) // 2
        assert reached(run) - saved(run) < INTERVAL
        require_finite(run)
        assert not differing(left_by(resume_training(run.folder)), unharmed), "something differs"


def test_what_judges_notices_weights_that_are_no_numbers(
    broken: Any, tmp_path: Path, storm: Storm
) -> None:
    run, _ = broken(7, not_a_number)
    save_checkpoint(run.snapshots, 3, {"weight": torch.tensor([1.0, float("nan")])}, {})
    with storm.control("a weight is not finite"):
        require_finite(run)
