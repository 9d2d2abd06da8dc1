"""Checkpoints: tensors as safetensors, the rest as JSON, no pickle.

FOLDER/step-N/  weights.safetensors
                OTHER.safetensors     further tensors, such as those of the optimizer
                state.json            {"step", …, "sha256" of each of these files and of the rest}

A checkpoint is written into a hidden folder, fsynced and renamed. Which one is
newest is found by looking, and only whole ones count: no pointer can lie.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.runs.disk import writing

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

SNAPSHOTS = 2
"""So many of what a run goes on from are kept: should the newest be damaged, there is another."""
_STATE, _SUFFIX = "state.json", ".safetensors"


def save_checkpoint(
    folder: Path, step: int, weights: Tensors, state: Mapping[str, object], **others: Tensors
) -> Path:
    """Write `step-N` with these weights, this state, and other tensors; returns its folder.

    Raises `RunFailed` where there is no room; older checkpoints stay.
    """
    target, beside = folder / f"step-{step}", folder / f".step-{step}.new"
    shutil.rmtree(beside, ignore_errors=True)
    parts = {"weights": weights, **others}
    needed = sum(tensor.nbytes for tensors in parts.values() for tensor in tensors.values())
    with writing(target, needed, half=beside):
        beside.mkdir(parents=True)
        hashes = {f"{name}{_SUFFIX}": _write(beside, name, part) for name, part in parts.items()}
        record = {"step": step, **state}
        record["sha256"] = {**hashes, _STATE: _hash_of_state(record)}
        (beside / _STATE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for path in (*(beside / name for name in hashes), beside / _STATE, beside):
            _fsync(path)
        _give_name(beside, target)
    return target


def _give_name(beside: Path, target: Path) -> None:
    """The last step of a save, which `finish_saves` takes where a kill came before it."""
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)
    _fsync(target.parent)


def finish_saves(folder: Path) -> None:
    """Give their names to checkpoints that were whole when their process was killed.

    Halves of some are removed. For the owner of the folder, before it looks what is there.
    """
    for beside in folder.glob(".step-*.new"):
        if is_whole(beside):
            _give_name(beside, folder / beside.name[1:-4])
        else:
            shutil.rmtree(beside)


def _write(folder: Path, name: str, tensors: Tensors) -> str:
    """The hash of what was written."""
    from safetensors.torch import save_file

    file = folder / f"{name}{_SUFFIX}"
    save_file({key: _plain(tensor) for key, tensor in tensors.items()}, file)
    return _hash(file)


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous().clone()


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(weights by name, state)."""
    return load_tensors(folder, "weights"), dict(load_state(folder))


def load_state(folder: Path) -> Mapping[str, object]:
    """All of it that is no tensor."""
    state: Mapping[str, object] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    return state


def load_tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """One of its files of tensors."""
    from safetensors.torch import load_file

    return load_file(folder / f"{name}{_SUFFIX}")


def newest_checkpoint(
    folder: Path, damaged: Callable[[Path], object] = lambda path: None
) -> Path | None:
    """The whole checkpoint with the most steps; None when there is none.

    `damaged` is told of every newer one that is not whole.
    """
    for path in sorted(_checkpoints(folder), key=_number, reverse=True):
        if is_whole(path):
            return path
        damaged(path)
    return None


def newest_step(folder: Path) -> int:
    """The number of the newest checkpoint, whole or not; 0 where there is none."""
    return max(map(_number, _checkpoints(folder)), default=0)


def _checkpoints(folder: Path) -> list[Path]:
    return [path for path in folder.glob("step-*") if path.name[5:].isdigit()]


def _number(path: Path) -> int:
    return int(path.name[5:])


def is_whole(folder: Path) -> bool:
    """Whether its files are there, all of them as they were written."""
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        hashes = state.pop("sha256")
        told = hashes.pop(_STATE)
        return (
            told == _hash_of_state(state)
            and f"weights{_SUFFIX}" in hashes
            and all(value == _hash(folder / name) for name, value in hashes.items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def keep_only(folder: Path, *kept: Path) -> None:
    """Remove every other checkpoint, after those that are kept were safely written."""
    for path in (*folder.glob("step-*"), *folder.glob(".step-*.new")):
        if path not in kept:
            shutil.rmtree(path)


def keep_newest(folder: Path, number: int) -> None:
    """Remove all but the newest few; of two, one is left where the other turns out damaged."""
    keep_only(folder, *sorted(_checkpoints(folder), key=_number)[-number:])


class BestWeights:
    """The best weights so far.

    Those that were the best when the training was last saved stay beside them: it may go on from
    there, and need not come to the same ones again.
    """

    def __init__(self, folder: Path, saved: int) -> None:
        """`saved`: how many saves are kept."""
        self._folder = folder
        self._pinned: deque[int | None] = deque(maxlen=saved)

    def keep(self, step: int, weights: Tensors, state: Mapping[str, object]) -> None:
        """These are the best now."""
        kept = save_checkpoint(self._folder, step, weights, state)
        keep_only(self._folder, kept, *(self._folder / f"step-{n}" for n in self._pinned))

    def pin(self, step: int | None) -> None:
        """The training was saved, with those of this step as its best ones; None: with none."""
        self._pinned.append(step)

    def has(self, step: int) -> bool:
        """Whether those of this step are whole, or were left for better ones that are."""
        return any(is_whole(path) for path in _checkpoints(self._folder) if _number(path) >= step)

    def settle(self, step: int | None) -> Path | None:
        """The training is over, with those of this step as the best; only they stay.

        Returns their folder, of the newest where there is none for this step.
        """
        own = self._folder / f"step-{step}"
        found = own if is_whole(own) else newest_checkpoint(self._folder)
        if found is not None:
            keep_only(self._folder, found)
        return found


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _hash_of_state(state: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _fsync(path: Path) -> None:
    """Make sure a file's bytes, or a folder's entries, are on disk.

    Folders cannot be opened on Windows.
    """
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
