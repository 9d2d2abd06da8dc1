"""A loss that is no number, or memory that runs out: no step is taken with it, and none is lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
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


Broken = Callable[..., tuple[Run, str | None]]


@pytest.fixture
def broken(asked: Callable[..., dict[str, Any]], tmp_path: Path) -> Broken:
    """`broken(number, fault)`: (a run whose n-th micro-batch met it, the code it ended with).

    `lasting`: all from then on do, as the smaller ones that are tried where memory runs out.
    """
    loss_sum = CrossEntropy.loss_sum

    def make(
        number: int, fault: Callable[[torch.Tensor], torch.Tensor], lasting: bool = False
    ) -> tuple[Run, str | None]:
        calls = count(1)

        def broken_loss(problem: Any, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
            loss = loss_sum(problem, outputs, batch)
            if not loss.requires_grad:
                return loss
            late = next(calls) - number
            return fault(loss) if late == 0 or (late > 0 and lasting) else loss

        with pytest.MonkeyPatch.context() as patch, suppress(RunFailed):
            patch.setattr(CrossEntropy, "loss_sum", broken_loss)
            run_training(run_config_from(asked(tmp_path / "run")))
        run = Run(tmp_path / "run")
        told = re.search(r"\[(\w+\.\w+)\]", str(run.status["error"]))
        return run, told[1] if told else None

    return make


def require_finite(run: Run) -> None:
    files = [file for part in (run.snapshots, run.checkpoints) for file in part.rglob("*.safe*")]
    kept = [tensor.float() for file in files for tensor in load_file(file).values()]
    assert all(bool(tensor.isfinite().all()) for tensor in kept), "a weight is not finite"


def require_whole(run: Run, unharmed: dict[str, Any]) -> None:
    require_finite(run)
    assert not differing(left_by(resume_training(run.folder)), unharmed), "something differs"


@seeded(1, 15)
def test_no_step_is_taken_with_nan(
    number: int, broken: Broken, unharmed: Any, storm: Storm
) -> None:
    micro_batch = storm.draw.randint(1, MICRO_BATCHES)
    with storm.fault():
        run, code = broken(micro_batch, not_a_number)
        assert code == "training.not_finite"
        assert reached(run) == (micro_batch - 1) // 2
        assert reached(run) - saved(run) < INTERVAL
        require_whole(run, unharmed)


@seeded(1, 15)
def test_memory_that_runs_out_loses_nothing(
    number: int, broken: Broken, unharmed: Any, storm: Storm
) -> None:
    """The step is taken in smaller micro-batches, or the run goes on from the step before."""
    with storm.fault():
        lasting = number % 2 == 0
        run, code = broken(storm.draw.randint(1, MICRO_BATCHES), out_of_memory, lasting)
        assert code == ("run.out_of_memory" if lasting else None)
        if lasting:
            require_whole(run, unharmed)
        steps = [row["step"] for row in run.read_lines("metrics.jsonl") if "loss" in row]
        assert steps == [*range(1, MICRO_BATCHES // 2 + 1)]
        require_finite(run)


def test_what_judges_notices_weights_that_are_no_numbers(
    broken: Broken, tmp_path: Path, storm: Storm
) -> None:
    run, _ = broken(7, not_a_number)
    save_checkpoint(run.snapshots, 3, {"weight": torch.tensor([1.0, float("nan")])}, {})
    with storm.control("a weight is not finite"):
        require_finite(run)
