"""Cross-validating: a run of each fold one after another, and a final one on all of them.

    RUN/  config.yaml, status.json, results.json, predictions.jsonl, report.html     the whole
          folds/0, folds/1, …, final                                                 the runs

Each is an ordinary run with data of its own, so `auto` is decided for each by what it learns from.
What has finished is kept: a run that is gone on with begins after it. The final model has no test
split; the score of the folds, whose models saw fewer examples, stands for it.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path

from welltuned.config import RunConfig
from welltuned.engines import distributed
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.experiments.cross_validation.fold_runs import check_folds, final_run, fold_runs
from welltuned.experiments.cross_validation.pool_runs import write_whole
from welltuned.reports.run import write_run_report
from welltuned.runs import Run
from welltuned.runs.cross_validated import SPENT
from welltuned.runs.folder import START
from welltuned.runs.ownership import owned
from welltuned.runs.phases import phase
from welltuned.runs.status import begun, recorded, resume_line
from welltuned.schema.import_path import allowing_imports
from welltuned.schema.versions import RUN_CONFIG
from welltuned.training import train as pipeline
from welltuned.training.decisions import is_interrupted
from welltuned.training.observer import Observer
from welltuned.training.output_folder import unfinished_before, with_output_folder
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import check_run
from welltuned.training.resume import config_of
from welltuned.training.waits import telling_waits


def run_cross_validation(
    config: RunConfig,
    observer: Observer | None = None,
    command: str | None = None,
    cache: DataCache | None = None,
    final: bool = True,
) -> Run:
    """Carry out a run of each fold and, where `final` is asked for, one on all; returns the whole.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed` when
    a run fails; what was finished by then stays.
    """
    observer, cache = observer or Observer(), cache or DataCache()
    _require_one_process()
    with telling_waits(observer):
        before, faults = unfinished_before(config), Faults()
        with phase("data"):
            config = with_output_folder(config, faults)
            check_run(fold_runs(config)[0], cache, faults)
            data = check_folds(config, cache)
        if before is not None:
            observer.noted(f"another run of this config is unfinished: {resume_line(before)}")
        with begun(Path(str(config.output_dir))) as run:
            _write_start(run, config, data, command, final)
            _carry_out(run, config, observer, cache)
    observer.finished(run)
    return run


def resume_cross_validation(
    folder: Path,
    observer: Observer | None = None,
    cache: DataCache | None = None,
    changes: Collection[str] = (),
) -> Run:
    """Go on with what an interrupted one has left; returns the whole, finished.

    Raises `InputError` where there is nothing left, and where the data differ. `changes` to its
    config are refused: its runs would not be of one kind.
    """
    observer, cache = observer or Observer(), cache or DataCache()
    _require_one_process()
    run = Run.open(folder)
    _require_unfinished(run)
    if changes:
        raise InputError(
            Fault(
                "folds.resumed_with_changes",
                "the runs of a cross-validation all have one config, and this one has begun",
                Place(str(folder)),
                "`welltuned resume {folder}` goes on with it as it is",
                folder=folder,
            )
        )
    with telling_waits(observer), owned(folder):
        config = config_of(run)
        with phase("data"):
            _require_same_data(run, check_folds(config, cache))
        with recorded(run):
            _carry_out(run, config, observer, cache)
    observer.finished(run)
    return run


def cross_validate_or_resume(
    config: RunConfig, observer: Observer, command: str | None, cache: DataCache | None
) -> Run:
    """The folds alone, or what is left of them where they were interrupted in the same folder."""
    folder = Path(str(config.output_dir))
    if is_interrupted(folder, config):
        observer.noted(f"the cross-validation in {folder} was interrupted, and goes on")
        with allowing_imports():  # the folder says what `config` says
            return resume_cross_validation(folder, observer, cache)
    return run_cross_validation(config, observer, command, cache, final=False)


def _write_start(run: Run, config: RunConfig, data: str, command: str | None, final: bool) -> None:
    """What it goes on from after an interruption."""
    values = config.model_dump(mode="json")
    run.write("config.yaml", RUN_CONFIG.stamp(values))
    start = {"asked": values, "data_fingerprint": data, "command": command, "final": final}
    run.write(START, start)


def _carry_out(run: Run, config: RunConfig, observer: Observer, cache: DataCache) -> None:
    """All runs that have not finished yet, and then what they come to together."""
    start, before = run.read(START), list(run.read_lines(SPENT))
    asked = [*fold_runs(config), *([final_run(config)] if start["final"] else [])]
    for number, one in enumerate(asked):
        observer.entered_run(number, len(asked))
        _train(one, _title(one, number, len(asked)), run, observer, cache)
    folds = [Run(Path(str(one.output_dir))) for one in asked[: config.data.folds]]
    final = Run(Path(str(asked[-1].output_dir))) if start["final"] else None
    with phase("report"):
        write_whole(run, folds, final, before)
        write_run_report(run)


def _title(config: RunConfig, number: int, runs: int) -> str:
    fold = config.data.fold
    what = f"fold {fold}" if isinstance(fold, int) else "final model, on all folds"
    return f"{what} (run {number + 1} of {runs})"


def _train(config: RunConfig, title: str, whole: Run, observer: Observer, cache: DataCache) -> None:
    """An ordinary run, or what is left of it; what it would go on from is not kept afterwards."""
    folder = Path(str(config.output_dir))
    if Run(folder).is_finished:
        observer.noted(f"{title}: already finished, in {folder}")
        return
    observer.noted(f"{title}: {folder}")
    if folder.exists() and not is_interrupted(folder, config):
        shutil.rmtree(folder)  # it had not begun to train
    began, computed = time.perf_counter(), time.process_time()
    run = pipeline.train_or_resume(config, observer, None, cache)
    for heavy in (run.checkpoints, run.snapshots):
        shutil.rmtree(heavy, ignore_errors=True)
    spent = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - computed,
    }
    whole.append(SPENT, {"run": str(folder.relative_to(whole.folder)), **spent})


# --- What is refused ----------------------------------------------------------------


def _require_one_process() -> None:
    if distributed.processes() > 1:
        raise InputError(
            Fault(
                "folds.several_processes",
                "a cross-validation runs in one process",
                None,
                "start it without torchrun; data.fold=0 is one run of it, which may have several",
            )
        )


def _require_unfinished(run: Run) -> None:
    if run.is_finished:
        raise InputError(
            Fault(
                "folds.finished_already",
                "the cross-validation has finished",
                Place(str(run.folder)),
                "`welltuned report {folder}` shows it",
                folder=run.folder,
            )
        )
    if not (run.folder / START).exists():
        raise InputError(
            Fault(
                "folds.never_began",
                "the cross-validation ended before its first run",
                Place(str(run.folder)),
                "remove the folder, and train again",
            )
        )


def _require_same_data(run: Run, data: str) -> None:
    if run.read(START)["data_fingerprint"] != data:
        raise InputError(
            Fault(
                "folds.data_changed",
                "the data are not those that the cross-validation began with",
                Place(str(run.folder)),
                "bring them back, or begin again in another output_dir",
            )
        )
