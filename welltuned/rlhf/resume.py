"""Resuming a pipeline: finished stages are kept, unfinished ones start again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from welltuned.data.sources import name_of
from welltuned.errors import Fault, InputError, Place
from welltuned.rlhf.config import RlhfConfig
from welltuned.runs import Run
from welltuned.runs.disk import make_folder, why_unwritable
from welltuned.runs.folder import next_free
from welltuned.schema.secrets import masked
from welltuned.schema.versions import RUN_CONFIG

_MADE_WITH = {
    "sft": ("model", "data", "task", "strategy", "sft"),
    "reward": ("model", "strategy", "reward"),
    "rl": ("model", "data", "task", "strategy", "sft", "reward", "rl"),
}
"""The keys of the config that each stage was made with."""


def place(config: RlhfConfig) -> RlhfConfig:
    """The config with its folder in it; nothing is written yet.

    Raises `InputError` when the folder is something else's, or when what a finished stage
    was made with has changed.
    """
    folder = Path(config.output_dir).expanduser() if config.output_dir else _free(config)
    config = config.model_copy(update={"output_dir": str(folder)})
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (folder / "status.json").exists() or Run(folder).config.get("pipeline") != "rlhf":
            raise InputError(
                Fault(
                    "rlhf.folder_in_use",
                    "the output folder is already in use, and not by a pipeline",
                    Place(str(folder)),
                    "choose another output_dir; nothing is ever overwritten",
                )
            )
        _require_unchanged(Run(folder), masked(config.model_dump(mode="json")))
    elif (fault := why_unwritable(folder)) is not None:
        raise InputError(fault)
    return config


def begin(config: RlhfConfig) -> Run:
    """The pipeline's folder, new or gone on with."""
    folder = Path(str(config.output_dir))
    make_folder(folder)
    run = Run(folder)
    values = config.model_dump(mode="json")
    run.write("config.yaml", RUN_CONFIG.stamp(values))
    return run


def _free(config: RlhfConfig) -> Path:
    return next_free(Path("runs"), f"{name_of(config.data.train) or 'data'}-rlhf")


def _require_unchanged(run: Run, values: dict[str, Any]) -> None:
    before = run.config
    changed: dict[str, tuple[Any, Any]] = {}
    for stage, keys in _MADE_WITH.items():
        if any(is_finished(folder) for folder in (run.folder / "stages").glob(f"{stage}*")):
            for key in keys:
                changed |= _differences(before.get(key), values[key], key)
    if changed:
        told = "; ".join(f"{key}: {was!r} then, {now!r} now" for key, (was, now) in changed.items())
        raise InputError(
            Fault(
                "rlhf.finished_stages_differ",
                "the finished stages in this folder were made with another config: {changes}",
                Place(str(run.folder)),
                "change it back, or choose another output_dir and name the stages to keep as runs",
                changes=told,
            )
        )


def _differences(was: Any, now: Any, path: str) -> dict[str, tuple[Any, Any]]:
    """Every value that differs, by its key path."""
    if isinstance(was, dict) and isinstance(now, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in [*was, *(key for key in now if key not in was)]:
            found |= _differences(was.get(key), now.get(key), f"{path}.{key}")
        return found
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        parts = [
            _differences(*pair, f"{path}.{i}") for i, pair in enumerate(zip(was, now, strict=True))
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {} if was == now else {path: (was, now)}


def is_finished(folder: Path) -> bool:
    """Whether a stage's run has finished."""
    return Run(folder).is_finished


def fresh(folder: Path) -> None:
    """Put what a stage left unfinished out of the way; nothing is ever overwritten."""
    if folder.exists() and any(folder.iterdir()):
        folder.rename(next_free(folder.parent, f"{folder.name}-unfinished"))
