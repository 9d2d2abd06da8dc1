"""Killed at any step of a save, one finds the checkpoint from before or the new one, whole."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from storming import Storm
from welltuned.runs.checkpoints import (
    BestWeights,
    finish_saves,
    keep_newest,
    load_checkpoint,
    load_tensors,
    newest_checkpoint,
    save_checkpoint,
)

GROUP = "SIGKILL at each step of a save"
BIT_BY_BIT: tuple[tuple[Any, str, int], ...] = (
    (safetensors.torch, "save_file", 1),
    (Path, "write_text", 0),
)
"""What writes a file, and which of its arguments the file is: there may be half of one, too."""
AT_ONCE = [(os, name) for name in ("mkdir", "fsync", "rename", "unlink", "rmdir")]


class Deadly:
    """Kills this process at the n-th moment before, after or in the middle of a step."""

    def __init__(self, moment: int) -> None:
        self._left = moment

    def tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        for owner, name in AT_ONCE:
            self._around(owner, name, lambda *arguments: None)
        for owner, name, position in BIT_BY_BIT:
            self._around(owner, name, lambda *arguments, at=position: self._halve(arguments[at]))

    def _around(self, owner: Any, name: str, halve: Callable[..., None]) -> None:
        real = getattr(owner, name)

        def step(*arguments: Any, **options: Any) -> Any:
            self.tick()
            made = real(*arguments, **options)
            halve(*arguments)
            self.tick()
            return made

        setattr(owner, name, step)

    def _halve(self, file: Path) -> None:
        """Let there be half of a file for a moment."""
        raw = Path(file).read_bytes()
        os.truncate(file, len(raw) // 2)
        self.tick()
        Path(file).write_bytes(raw)


def tensors(step: int) -> dict[str, torch.Tensor]:
    return {"a": torch.full((64,), float(step)), "b": torch.full((3,), -float(step))}


def save_two_files(folder: Path, step: int) -> None:
    """As a training is saved."""
    save_checkpoint(folder, step, tensors(step), {"loss": step}, optimizer=tensors(10 * step))
    keep_newest(folder, 2)


def save_the_best(folder: Path, step: int) -> None:
    """As the best weights are kept."""
    best = BestWeights(folder, 2)
    best.pin(step - 1)
    best.keep(step, tensors(step), {"loss": step})


def save_in_place(folder: Path, step: int) -> None:
    """As one would who has never been killed: the negative control."""
    target = folder / "step-1"
    target.mkdir(exist_ok=True)
    safetensors.torch.save_file(tensors(step), target / "weights.safetensors")


def killed_at(moment: int, save: Callable[[Path, int], None], folder: Path, step: int) -> bool:
    """Whether a process that saves has so many moments; it is killed at the last of them."""

    def work() -> None:
        Deadly(moment).watch()
        save(folder, step)
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def require_one_of(folder: Path, *steps: int) -> None:
    """A whole checkpoint of one of these steps is the newest, with all that was saved in it."""
    newest = newest_checkpoint(folder)
    assert newest is not None, "no checkpoint is left"
    weights, state = load_checkpoint(newest)
    step = state["step"]
    assert step in steps and state["loss"] == step
    others = {"optimizer": 10 * step} if (newest / "optimizer.safetensors").exists() else {}
    for name, value in {"weights": step, **others}.items():
        found = weights if name == "weights" else load_tensors(newest, name)
        assert all(torch.equal(found[key], tensor) for key, tensor in tensors(value).items())


@pytest.mark.parametrize(
    "again",
    [pytest.param(False, id="new", marks=pytest.mark.storm), pytest.param(True, id="again")],
)
@pytest.mark.parametrize("save", [save_two_files, save_the_best])
def test_at_each_moment(
    save: Callable[[Path, int], None], again: bool, tmp_path: Path, storm: Storm
) -> None:
    """Also where a checkpoint of this step is there already, since a run comes to it again."""
    before, folder = tmp_path / "before", tmp_path / "run"
    for step in (1, 2, 3) if again else (1, 2):
        save(before, step)
    moment = 1
    shutil.copytree(before, folder)
    while killed_at(moment, save, folder, 3):
        with storm.fault():
            finish_saves(folder)
            require_one_of(folder, *((3,) if again else (2, 3)))
            save(folder, 4)
            require_one_of(folder, 4)
            assert not list(folder.glob(".*"))
        shutil.rmtree(folder)
        shutil.copytree(before, folder)
        moment += 1
    assert moment > 20


def test_what_judges_notices_a_save_in_place(tmp_path: Path, storm: Storm) -> None:
    save_in_place(tmp_path, 1)
    with storm.control("no checkpoint is left"):
        for moment in range(1, 5):
            killed_at(moment, save_in_place, tmp_path, 2)
            require_one_of(tmp_path, 1, 2)
