"""Where a run is written: the folder is chosen here, and made only when the run begins."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.config import RunConfig
from welltuned.data.sources import name_of
from welltuned.engines import distributed
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.runs.checkpoints import SNAPSHOTS
from welltuned.runs.disk import nearest_that_exists, why_unwritable
from welltuned.runs.folder import START, Run, next_free
from welltuned.runs.ownership import is_free
from welltuned.schema.units import size_text
from welltuned.training.decisions import is_interrupted
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import RunPlan, check_run, encode_run

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy
    from welltuned.training.session.session import Session

_SNAPSHOT = 3
"""A snapshot, in units of the weights that train: with them, two moments of each."""


RUNS = "runs"
"""Where runs go that are given no folder."""


def prepare_in_folder(
    config: RunConfig,
    progress: Working = lambda what, done, total: None,
    cache: DataCache | None = None,
) -> RunPlan:
    """A validated run, with the folder that its plan's config names. Nothing is written yet.

    Raises `InputError` with all faults found.
    """
    faults, cache = Faults(), cache or DataCache()
    checked = check_run(with_output_folder(config, faults), cache, faults)
    require_space(checked.config, checked.anatomy, Path(str(checked.config.output_dir)))
    return encode_run(checked, cache, progress)


def with_output_folder(config: RunConfig, faults: Faults) -> RunConfig:
    """The config with its folder in it, one that nothing else uses. Nothing is written yet."""
    folder = _free_folder(config, faults)
    return config.model_copy(update={"output_dir": str(folder)})


def unfinished_before(config: RunConfig) -> Run | None:
    """Of a config that names no folder, the newest run that was interrupted and can go on."""
    if config.output_dir is not None:
        return None
    named = Path(RUNS).glob(f"{usual_name(config)}*")
    found = [folder for folder in named if is_interrupted(folder, config)]
    newest = max(found, key=lambda folder: (folder / START).stat().st_mtime, default=None)
    return None if newest is None else Run(newest)


def usual_name(config: RunConfig) -> str:
    """DATA-STRATEGY, for folders that have been given no name."""
    return f"{name_of(config.data.train) or 'data'}-{config.strategy.type}"


def require_space(config: RunConfig, anatomy: Anatomy, folder: Path) -> None:
    """Room for the artifact and two checkpoints, each at most the whole model in float32.

    So much is known before a weight is loaded; the rest is what `require_space_to_train` asks for.
    Raises `InputError` where the disk has less.
    """
    parent = nearest_that_exists(folder)
    whole = config.strategy.saves_whole_model
    needed = 4 * anatomy.parameters * 3 if whole else anatomy.parameters
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise InputError(
            Fault(
                "run.disk_too_small",
                "the disk has {free} free; the run may need {needed}",
                Place(str(parent)),
                "make room, or choose an output_dir on another disk",
                free=size_text(free),
                needed=size_text(needed),
            )
        )


def require_space_to_train(session: Session, run: Run) -> None:
    """Room for all that the run writes, now that it is known what trains.

    What it has written already counts as room. Raises `InputError` where the disk has less; the
    run can be gone on with once there is room.
    """
    sizes = {name: weight.nbytes for name, weight in session.model.named_parameters()}
    trained = sum(sizes[name] for name in session.before.trainable)
    training = session.training
    keeps = training.load_best_model_at_end and training.eval_strategy != "no"
    parts = {
        "model": sum(sizes.values()) if session.config.strategy.saves_whole_model else trained,
        "saves": SNAPSHOTS * _SNAPSHOT * trained,
        "best": 2 * trained if keeps else 0,
    }
    written = sum(file.stat().st_size for file in run.folder.rglob("*.safetensors"))
    needed, free = sum(parts.values()), shutil.disk_usage(run.folder).free + written
    if free < needed:
        raise InputError(
            Fault(
                "run.disk_too_small_to_train",
                "the disk has {free} free for this run; it may need {needed}: {model} for the "
                "model, {saves} for what it goes on from after an interruption, {best} for the "
                "best weights",
                Place(str(run.folder)),
                "make room, and `welltuned resume {folder}`",
                free=size_text(free),
                needed=size_text(needed),
                folder=run.folder,
                **{name: size_text(size) for name, size in parts.items()},
            )
        )


def _free_folder(config: RunConfig, faults: Faults) -> Path:
    if not distributed.is_main():
        return Path(config.output_dir or "runs")
    if config.output_dir is not None:
        folder = Path(config.output_dir).expanduser()
        if is_interrupted(folder, config):
            faults.add(
                "run.interrupted_here",
                "an unfinished run of this config is in the output folder, at step {step}",
                Place(str(folder)),
                "go on with it by `welltuned resume {folder}`, or choose another output_dir",
                step=Run(folder).step,
                folder=folder,
            )
        elif not is_free(folder):
            faults.add(
                "run.folder_in_use",
                "the output folder is already in use",
                Place(str(folder)),
                "choose another output_dir; nothing is ever overwritten",
            )
    else:
        folder = next_free(Path(RUNS), usual_name(config))
    if not folder.is_file() and (fault := why_unwritable(folder)) is not None:
        faults.extend([fault])
    return folder
