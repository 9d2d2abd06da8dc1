"""Checkpoints: weights as safetensors, the rest as JSON, no pickle.

checkpoints/step-N/  weights.safetensors
                     state.json    {"step", …, "sha256" of the weights' file}

A checkpoint is written into a hidden folder, fsynced and renamed. Which one is
newest is found by looking, and only whole ones count: no pointer can lie.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.runs.disk import writing

if TYPE_CHECKING:
    import torch

_WEIGHTS, _STATE = "weights.safetensors", "state.json"


def save_checkpoint(
    folder: Path, step: int, weights: Mapping[str, torch.Tensor], state: Mapping[str, object]
) -> Path:
    """Write `step-N` with these weights and this state; returns its folder.

    Raises `RunFailed` where there is no room; older checkpoints stay.
    """
    from safetensors.torch import save_file

    target, beside = folder / f"step-{step}", folder / f".step-{step}.new"
    shutil.rmtree(beside, ignore_errors=True)
    needed = sum(tensor.nbytes for tensor in weights.values())
    with writing(target, needed, half=beside):
        beside.mkdir(parents=True)
        save_file(
            {name: tensor.detach().cpu().contiguous().clone() for name, tensor in weights.items()},
            beside / _WEIGHTS,
        )
        record = {"step": step, **state, "sha256": _hash(beside / _WEIGHTS)}
        (beside / _STATE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        for path in (beside / _WEIGHTS, beside / _STATE, beside):
            _fsync(path)
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
        _fsync(folder)
    return target


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """(weights by name, state)."""
    from safetensors.torch import load_file

    return load_file(folder / _WEIGHTS), json.loads((folder / _STATE).read_text(encoding="utf-8"))


def newest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint with the most steps; None when there is none."""
    numbered = [
        (int(path.name[5:]), path) for path in folder.glob("step-*") if path.name[5:].isdigit()
    ]
    return next((path for _, path in sorted(numbered, reverse=True) if is_whole(path)), None)


def is_whole(folder: Path) -> bool:
    """Whether state and weights are there and the weights are those that were written."""
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        return bool(state["sha256"] == _hash(folder / _WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def keep_only(folder: Path, kept: Path) -> None:
    """Remove every other checkpoint, after `kept` is safely written."""
    for path in (*folder.glob("step-*"), *folder.glob(".step-*.new")):
        if path != kept:
            shutil.rmtree(path)


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


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
