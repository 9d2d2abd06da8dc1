"""Damaged files are found by their hash, and the run goes on from what is whole."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resuming import Killed, Killing, differing, left_by
from storming import Storm, seeded
from welltuned.config import run_config_from
from welltuned.runs import Run
from welltuned.runs import checkpoints as judged_by
from welltuned.schema.plugins import without_plugins
from welltuned.training.observer import Observer
from welltuned.training.train import resume_training, run_training

GROUP = "flipped, cut, zeroed and deleted files"
KILLED_AT = 7
"""Snapshots of steps 4 and 6 are there then, and the best weights of step 3 or 6."""


class Notes(Observer):
    """Keeps the notes for the user."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def noted(self, text: str) -> None:
        self.told.append(text)


def flip(file: Path, draw: random.Random) -> None:
    raw = bytearray(file.read_bytes())
    raw[draw.randrange(len(raw))] ^= 1 << draw.randrange(8)
    file.write_bytes(raw)


def cut(file: Path, draw: random.Random) -> None:
    file.write_bytes(file.read_bytes()[: draw.randrange(file.stat().st_size)])


def zero(file: Path, draw: random.Random) -> None:
    raw = file.read_bytes()
    start = draw.randrange(len(raw))
    file.write_bytes(raw[:start] + bytes(min(64, len(raw) - start)) + raw[start + 64 :])


def delete(file: Path, draw: random.Random) -> None:
    file.unlink()


@pytest.fixture(scope="session")
def killed(asked: Callable[..., dict[str, Any]], tmp_path_factory: Any) -> Path:
    """A run that was killed. To be read, not changed."""
    values = asked(tmp_path_factory.mktemp("killed") / "run")
    with without_plugins(), pytest.raises(Killed):
        run_training(run_config_from(values), Killing(KILLED_AT))
    return Path(values["output_dir"])


@pytest.fixture
def copied(killed: Path, tmp_path: Path) -> Run:
    return Run(Path(shutil.copytree(killed, tmp_path / "run")))


def damaged(folder: Path, draw: random.Random) -> Path:
    """One file in it, in some way that changes it."""
    file = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    before = file.read_bytes()
    while file.exists() and file.read_bytes() == before:
        draw.choice([flip, cut, zero, delete])(file, draw)
    return file


@seeded(2, 30)
def test_of_the_newest_snapshot(number: int, copied: Run, unharmed: Any, storm: Storm) -> None:
    damaged(copied.snapshots / "step-6", storm.draw)
    with storm.fault():
        require_fallback(copied, unharmed, "step-6 is damaged")


def require_fallback(run: Run, unharmed: Any, warning: str) -> None:
    notes = Notes()
    resumed = resume_training(run.folder, notes)
    assert [note for note in notes.told if warning in note], "nothing was told"
    assert not differing(left_by(resumed), unharmed), "something differs"


@seeded(1, 5)
def test_of_all_snapshots(number: int, copied: Run, unharmed: Any, storm: Storm) -> None:
    for step in (4, 6):
        damaged(copied.snapshots / f"step-{step}", storm.draw)
    with storm.fault():
        require_fallback(copied, unharmed, "step-4 is damaged")


@seeded(1, 10)
def test_of_the_best_weights(number: int, copied: Run, unharmed: Any, storm: Storm) -> None:
    """The best of what follows is kept then, and that is told."""
    for folder in copied.checkpoints.iterdir():
        damaged(folder, storm.draw)
    with storm.fault():
        notes = Notes()
        resumed = resume_training(copied.folder, notes)
        assert [note for note in notes.told if "best weights" in note and "damaged" in note]
        best = resumed.results["training"]["best_step"]
        assert best in (6, 9) and (resumed.checkpoints / f"step-{best}").exists()


def test_what_judges_notices_a_flipped_byte_that_nobody_does(
    copied: Run, unharmed: Any, storm: Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = copied.snapshots / "step-6" / "weights.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 0x20  # of the last weight
    file.write_bytes(raw)
    monkeypatch.setattr(judged_by, "is_whole", lambda folder: True)
    with storm.control("something differs"):
        resumed = resume_training(copied.folder, Notes())
        assert not differing(left_by(resumed), unharmed), "something differs"
