"""Run status, kept true whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from welltuned.errors import Fault, Pruned, RunFailed, Stopped, WelltunedError
from welltuned.runs.checkpoints import newest_step
from welltuned.runs.cross_validated import FOLDS, finished_runs
from welltuned.runs.disk import fault_of_full_disk
from welltuned.runs.folder import START, Run
from welltuned.runs.ownership import owned
from welltuned.runs.stopping import stoppable


@contextmanager
def begun(folder: Path) -> Iterator[Run]:
    """A run in a new or empty folder, owned by this process while it lasts.

    Raises `InputError` when the folder holds anything, or another process owns it.
    """
    with owned(folder):
        run = Run.create(folder)
        with recorded(run):
            yield run


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Keep status.json true, whatever happens; a signal to stop becomes `Stopped`."""
    run.set_status("running", run.step)
    with stoppable():
        try:
            yield
        except (Stopped, KeyboardInterrupt) as stop:
            run.set_status("stopped", run.step, str(stop) or "interrupted")
            number = stop.signal_number if isinstance(stop, Stopped) else signal.SIGINT
            raise Stopped(number, resume_line(run)) from None
        except Pruned as pruned:
            run.set_status("stopped", run.step, str(pruned))
            raise
        except BaseException as error:
            told = _with_words(error, run)
            with suppress(WelltunedError, OSError):  # what went wrong matters more than saying so
                run.set_status("failed", run.step, f"{type(told).__name__}: {told}")
            if told is not error:
                raise told from error
            if isinstance(error, WelltunedError) or not isinstance(error, Exception):
                raise
            named = f"{type(error).__name__}: {error}"
            raise RunFailed(Fault("run.crashed", "{error}", error=named)) from error
    run.set_status("finished", run.step)


def resume_line(run: Run) -> str:
    """What to do for an unfinished run to go on; empty where it has not begun to train."""
    if not (run.folder / START).exists() and not run.is_pipeline:
        return ""
    if (run.folder / FOLDS).is_dir():
        done = finished_runs(run.folder)
        return f"`welltuned resume {run.folder}` goes on; of its runs {done} have finished"
    saved = newest_step(run.snapshots)
    where = f"goes on after step {saved}" if saved else "begins again; nothing was saved yet"
    return f"`welltuned resume {run.folder}` {where}"


def _with_words(error: BaseException, run: Run) -> BaseException:
    """The error; of a full disk, whichever library says so, one of ours."""
    if isinstance(error, WelltunedError) or not isinstance(error, Exception):
        return error
    fault = fault_of_full_disk(error, run.folder)
    return RunFailed(fault) if fault is not None else error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C both end what is done meanwhile by `Stopped`."""
    try:
        with stoppable():
            yield
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None
