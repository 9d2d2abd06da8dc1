"""Resuming a pipeline: finished stages are kept, and an interrupted one goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from welltuned.data.sources import name_of
from welltuned.errors import Fault, InputError, Place
from welltuned.rlhf.config import RlhfConfig
from welltuned.runs import Run
from welltuned.runs.checkpoints import load_state, newest_checkpoint
from welltuned.runs.disk import make_folder, why_unwritable
from welltuned.runs.folder import START, next_free
from welltuned.runs.ownership import is_free, is_owned
from welltuned.runs.phases import Spent
from welltuned.schema.differences import differences
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
    if not is_free(folder):
        if not folder.is_dir() or Run(folder).config.get("pipeline") != "rlhf":
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
                changed |= _changes(before.get(key), values[key], key)
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


def is_begun(folder: Path, config: RlhfConfig) -> bool:
    """Whether a pipeline of just this config has begun there, and nobody is at work on it."""
    try:
        before = Run(folder).config
    except InputError:
        return False
    values = masked(config.model_dump(mode="json", exclude={"output_dir", "training"}))
    same = bool(before) and not _changes({key: before.get(key) for key in values}, values)
    return same and not is_owned(folder)


def spent_before(folder: Path) -> Spent | None:
    """What processes that came before have spent on the stages of a pipeline, as far as it was
    saved; None where there were none."""
    found = [_spent_on(Run(status.parent)) for status in folder.glob("stages/*/status.json")]
    stages = [spent for spent in found if spent is not None]
    if not stages:
        return None
    phases: defaultdict[str, float] = defaultdict(float)
    for spent in stages:
        for name, seconds in spent["phases"].items():
            phases[name] += seconds
    return {"phases": dict(phases), "cpu_seconds": sum(spent["cpu_seconds"] for spent in stages)}


def _spent_on(stage: Run) -> Spent | None:
    if stage.is_finished:
        cost = stage.results["cost"]
        return {"phases": cost["phases"], "cpu_seconds": cost["cpu_seconds"]}
    newest = newest_checkpoint(stage.snapshots)
    return None if newest is None else cast(Spent, load_state(newest)["spent"])


def is_finished(folder: Path) -> bool:
    """Whether a stage's run has finished."""
    return Run(folder).is_finished


def goes_on(folder: Path, config: RlhfConfig) -> bool:
    """Whether an RL stage of just this config was interrupted there, and can go on."""
    run = Run(folder)
    if run.is_finished or is_owned(folder) or newest_checkpoint(run.snapshots) is None:
        return False
    try:
        return not _changes(run.read(START)["asked"], _asked(config))
    except (InputError, KeyError, FileNotFoundError):
        return False


def note_asked(run: Run, config: RlhfConfig, data_fingerprint: str) -> None:
    """Note what an RL stage is made with, before its first batch."""
    run.write(START, {"asked": _asked(config), "data_fingerprint": data_fingerprint})


def require_same_data(run: Run, data_fingerprint: str) -> None:
    """Raise `InputError` where an RL stage that goes on began with other data."""
    if run.read(START)["data_fingerprint"] != data_fingerprint:
        raise InputError(
            Fault(
                "rlhf.data_changed",
                "the data are not those that the RL stage began with",
                Place(str(run.folder)),
                "bring them back, or move this folder away for the stage to begin again",
            )
        )


def _asked(config: RlhfConfig) -> dict[str, Any]:
    values = masked(config.model_dump(mode="json"))
    return {key: values[key] for key in _MADE_WITH["rl"]}


def _changes(was: object, now: object, path: str = "") -> dict[str, tuple[object, object]]:
    """All that differs, but for whom stages report to, of which nothing follows."""
    found = differences(was, now, path)
    return {key: change for key, change in found.items() if "report_to" not in key.split(".")}


def put_aside(folder: Path, tell: Callable[[str], object]) -> None:
    """Put what a stage left unfinished out of the way; nothing is ever overwritten."""
    if folder.exists() and any(folder.iterdir()):
        aside = next_free(folder.parent, f"{folder.name}-unfinished")
        folder.rename(aside)
        tell(f"what was begun in {folder} cannot go on as is asked now; it is in {aside}")
