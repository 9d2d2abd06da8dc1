"""Exact resume: every strategy, engine and task, wherever it was interrupted.

What is left by a run that was interrupted and resumed is, bit for bit, what one leaves that never
was. Signals let it save first; a kill lets it do nothing more.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from answering import TASKS, material
from resuming import Killed, Killing, Signalling, differing, left_by
from support import STRATEGIES, config_values
from welltuned.config import run_config_from
from welltuned.engines.snapshot import Snapshot
from welltuned.errors import Stopped
from welltuned.runs import Run
from welltuned.training import resume, train
from welltuned.training.observer import Observer
from welltuned.training.train import resume_training, run_training

STEPS = {"num_train_epochs": 2, "gradient_accumulation_steps": 2, "save_steps": 2}
"""Six steps of two micro-batches, three an epoch; the last of an epoch is smaller."""
ENGINES = "torch", "hf"


class BetweenMicroBatches(Observer):
    """Ends the process's work at a backward pass, counted from 1, without warning."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int) -> None:
        self._patch, self._number = patch, number

    def started(self, total_steps: int) -> None:
        backward, calls = torch.Tensor.backward, count(1)

        def killed(loss: torch.Tensor, *arguments: Any, **options: Any) -> Any:
            if next(calls) == self._number:
                raise Killed
            return backward(loss, *arguments, **options)

        self._patch.setattr(torch.Tensor, "backward", killed)


class AtAChange(Observer):
    """Sends this process a signal where other blocks begin to train, in the midst of training."""

    def __init__(self) -> None:
        self._steps = self._signals = 0

    def stepped(self, step: Any) -> None:
        self._steps = step.step

    def changed(self, step: int, what: str) -> None:
        if self._steps and not self._signals:
            self._signals = 1
            os.kill(os.getpid(), signal.SIGTERM)


def once_saved(patch: pytest.MonkeyPatch, times: int) -> Observer:
    """Ends the process's work when it has been saved so many times, without warning."""
    save, calls = resume.save_snapshot, count(1)

    def killed(run: Run, snapshot: Snapshot) -> None:
        save(run, snapshot)
        if next(calls) == times:
            raise Killed

    patch.setattr(train, "save_snapshot", killed)
    return Observer()


MOMENTS: dict[str, Callable[[pytest.MonkeyPatch], Observer]] = {
    "in the middle of an epoch": lambda patch: Signalling(2),
    "between two micro-batches": lambda patch: BetweenMicroBatches(patch, 6),
    "at a checkpoint": lambda patch: once_saved(patch, 2),
    "where an epoch ends": lambda patch: Signalling(3),
    "at the last step": lambda patch: Signalling(6),
    "between two saves": lambda patch: Killing(5),
    "before the first save": lambda patch: Killing(1),
    "at a change of stage": lambda patch: AtAChange(),
}


def _cases() -> list[Any]:
    """Every strategy, engine and moment; of each strategy one is quick, its engines in turn."""
    cases = []
    for i, strategy in enumerate(STRATEGIES):
        moments = [*MOMENTS] if strategy == "gradual" else [*MOMENTS][:-1]
        for j, engine in enumerate(ENGINES):
            quick = moments[-1] if strategy == "gradual" else moments[(i + 3 * j) % len(moments)]
            for moment in moments:
                is_quick = moment == quick and (i + j) % 2 == 0
                marks = [] if is_quick else [pytest.mark.slow]
                name = f"{strategy}-{engine}-{moment.replace(' ', '_')}"
                cases.append(pytest.param(strategy, engine, moment, marks=marks, id=name))
    return cases


@pytest.fixture(scope="module")
def asked(tiny: Any, causal: Any, few: str, tmp_path_factory: Any) -> Callable[..., Any]:
    """`asked(folder, strategy, engine, task)`: the config of such a run."""

    @cache
    def made_of(task: str) -> Any:
        return material(task, tmp_path_factory.mktemp(task), tiny, causal)

    def make(folder: Path, strategy: str, engine: str, task: str | None = None) -> Any:
        plain = tiny("bert"), few, {"pooling": "mean"}
        model, data, asks = made_of(task) if task else plain
        training = STEPS if task is None else {**STEPS, "learning_rate": 1e-3}
        parts = {"task": asks, "engine": engine, "training": training}
        return run_config_from(config_values(model, data, STRATEGIES[strategy], folder, **parts))

    return make


@pytest.fixture(scope="module")
def whole(asked: Callable[..., Any], tmp_path_factory: Any) -> Callable[..., dict[str, Any]]:
    """`whole(strategy, engine, task)`: what a run leaves that is never interrupted."""

    @cache
    def make(*which: str) -> dict[str, Any]:
        return left_by(run_training(asked(tmp_path_factory.mktemp("whole") / "run", *which)))

    return make


@pytest.fixture
def require_exact(
    asked: Any, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`require_exact(moment, strategy, engine, task)`: interrupt such a run, resume it, and compare
    what it leaves."""

    def require(moment: str, *which: str) -> None:
        config = asked(tmp_path / "run", *which)
        run = Run(Path(config.output_dir))
        with monkeypatch.context() as patched, pytest.raises((Killed, Stopped)):
            run_training(config, MOMENTS[moment](patched))
        assert not run.results
        assert not differing(left_by(resume_training(run.folder)), whole(*which))

    return require


@pytest.mark.parametrize(("strategy", "engine", "moment"), _cases())
def test_every_strategy_goes_on(
    strategy: str, engine: str, moment: str, require_exact: Any
) -> None:
    require_exact(moment, strategy, engine)


TASKS_AND_ENGINES = [
    pytest.param(task, engine, marks=[] if (i + j) % 4 == 0 else [pytest.mark.slow])
    for i, task in enumerate(TASKS)
    for j, engine in enumerate(ENGINES)
]


@pytest.mark.parametrize(("task", "engine"), TASKS_AND_ENGINES)
@pytest.mark.parametrize(
    "moment",
    ["between two micro-batches", pytest.param("where an epoch ends", marks=pytest.mark.slow)],
)
def test_every_task_goes_on(task: str, engine: str, moment: str, require_exact: Any) -> None:
    require_exact(moment, "lora", engine, task)
