"""Resume: an interrupted run goes on as if nothing had happened.

A run is a function of its config, its data and a seed. So all that leads to the first step is done
again, with what was decided then; and what steps have changed comes from the newest snapshot:

    RUN/start.json        what was decided before the first step (`decisions.py`)
    RUN/resume/step-N/    a checkpoint with the optimizer and random numbers (`engines/snapshot.py`)
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from welltuned.config import RunConfig, read_run_config
from welltuned.engines import distributed
from welltuned.engines.snapshot import Snapshot
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.runs import Run
from welltuned.runs.checkpoints import (
    SNAPSHOTS,
    BestWeights,
    finish_saves,
    keep_newest,
    load_checkpoint,
    load_tensors,
    newest_checkpoint,
    save_checkpoint,
)
from welltuned.runs.folder import START
from welltuned.training.decisions import changes
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import RunPlan, prepare

DATA = "data"
"""What changed data are accepted by."""


@dataclass(frozen=True)
class Interrupted:
    """A run that can go on."""

    run: Run
    prepared: RunPlan
    snapshot: Snapshot | None
    """None where it was interrupted before the first one; it begins again then."""

    @property
    def line(self) -> str:
        """Where it goes on, for the user."""
        if self.snapshot is None:
            return "it was interrupted before it was first saved, and begins again"
        return f"it goes on after step {self.snapshot.step}"


def save_snapshot(run: Run, snapshot: Snapshot) -> None:
    """Write it, and remove older ones."""
    folder = run.snapshots
    tensors = {"optimizer": snapshot.optimizer, "random": snapshot.random}
    save_checkpoint(folder, snapshot.step, snapshot.weights, snapshot.numbers, **tensors)
    keep_newest(folder, SNAPSHOTS)


def newest_snapshot(run: Run, tell: Callable[[str], object]) -> Snapshot | None:
    """The newest that is whole; of those that are not, `tell` is told."""

    def damaged(path: Path) -> None:
        tell(f"{path} is damaged, and passed over for the one before")

    if distributed.processes() == 1:  # of several, all must find the same
        finish_saves(run.snapshots)
        finish_saves(run.checkpoints)
    folder = newest_checkpoint(run.snapshots, damaged)
    if folder is None:
        return None
    weights, state = load_checkpoint(folder)
    optimizer, random = (load_tensors(folder, name) for name in ("optimizer", "random"))
    return Snapshot(state["step"], weights, optimizer, random, state)


def begin_again(run: Run, snapshot: Snapshot | None) -> None:
    """Take back what the run had written after its last snapshot, or without one after its start.

    Its metrics are cut by who writes them, at the length that the snapshot tells.
    """
    shutil.rmtree(run.model, ignore_errors=True)  # half of one, perhaps
    if snapshot is None:
        run.cut("metrics.jsonl", 0)
        shutil.rmtree(run.checkpoints, ignore_errors=True)


def find_interrupted(
    run: Run,
    overrides: Collection[str],
    accepted: Collection[str],
    tell: Callable[[str], object],
    progress: Working = lambda what, done, total: None,
    cache: DataCache | None = None,
) -> Interrupted:
    """What an unfinished run goes on from.

    `overrides` change its config, as `key=value`; `accepted` names keys that may have changed since
    it began, or `data`. Raises `InputError` where there is nothing to go on with, or where
    anything else has changed.
    """
    _require_unfinished(run)
    config = config_of(run, overrides)
    accepted = {*accepted, *(override.partition("=")[0] for override in overrides)}
    start = run.read(START)
    faults = Faults()
    for key, was, now in changes(start["config"], config):
        if key not in accepted:
            faults.add(
                "run.config_changed",
                "'{key}' was {was} when the run began and is {now} now",
                Place(str(run.folder)),
                "change it back, or accept it: `welltuned resume {folder} --accept {key}`",
                key=key,
                was=repr(was),
                now=repr(now),
                folder=run.folder,
            )
    faults.raise_if_any()
    prepared = prepare(config, progress, cache)
    if prepared.data.facts.fingerprint != start["data_fingerprint"] and DATA not in accepted:
        raise InputError(
            Fault(
                "run.data_changed",
                "the data are not those that the run began with",
                Place(str(run.folder)),
                "bring them back, or accept it: `welltuned resume {folder} --accept data`",
                folder=run.folder,
            )
        )
    snapshot = newest_snapshot(run, tell)
    if snapshot is not None:
        _require_as_many_processes(run, snapshot)
    if snapshot is not None and config.training.load_best_model_at_end:
        snapshot = _with_its_best(snapshot, run, tell)
    return Interrupted(run, prepared, snapshot)


def _require_as_many_processes(run: Run, snapshot: Snapshot) -> None:
    before = len({name.split("/")[1] for name in snapshot.random})
    if before != distributed.processes():
        raise InputError(
            Fault(
                "run.processes_changed",
                "the run began with {before} processes, and {now} would go on with it",
                Place(str(run.folder)),
                "start as many, by torchrun or accelerate",
                before=before,
                now=distributed.processes(),
            )
        )


def _with_its_best(snapshot: Snapshot, run: Run, tell: Callable[[str], object]) -> Snapshot:
    """The snapshot; where its best weights are damaged, one that has none so far."""
    step = snapshot.numbers["validator"]["best_step"]
    if step is None or BestWeights(run.checkpoints, SNAPSHOTS).has(step):
        return snapshot
    tell(
        f"the best weights so far, of step {step}, are damaged; the best of those from step "
        f"{snapshot.step} on are kept"
    )
    return without_best(snapshot)


def without_best(snapshot: Snapshot) -> Snapshot:
    """The snapshot, as if no weights had been the best by then."""
    none = {"best": None, "best_step": None, "without_better": 0}
    return replace(snapshot, numbers={**snapshot.numbers, "validator": none})


def _require_unfinished(run: Run) -> None:
    if run.is_finished:
        raise InputError(
            Fault(
                "run.finished_already",
                "the run has finished",
                Place(str(run.folder)),
                "`welltuned report` shows it; to train it for longer, say for how long: "
                "`welltuned resume {folder} training.num_train_epochs=…`",
                folder=run.folder,
            )
        )
    if not (run.folder / START).exists():
        raise InputError(
            Fault(
                "run.never_began",
                "the run ended before its first step, so there is nothing to go on with",
                Place(str(run.folder)),
                "remove the folder, and train again",
            )
        )


def config_of(run: Run, overrides: Collection[str] = ()) -> RunConfig:
    """The config that a run was begun with, in its folder, with changes as `key=value`.

    Raises `InputError` where that is no config; secrets, which no run writes down, are to be given
    again.
    """
    faults = Faults()
    config, _ = read_run_config(run.folder / "config.yaml", overrides, faults)
    if config is None:
        raise InputError(faults)
    return config.model_copy(update={"output_dir": str(run.folder)})
