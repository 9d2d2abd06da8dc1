"""Run status, kept true whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from welltuned.errors import Fault, Pruned, RunFailed, Stopped, WelltunedError
from welltuned.runs.disk import fault_of_full_disk
from welltuned.runs.folder import Run


@contextmanager
def recorded(run: Run) -> Iterator[None]:
    """Keep status.json true, whatever happens; a signal to stop becomes `Stopped`."""
    run.set_status("running")
    with stoppable():
        try:
            yield
        except (Stopped, KeyboardInterrupt) as stop:
            run.set_status("stopped", run.step, str(stop) or "interrupted")
            raise stop if isinstance(stop, Stopped) else Stopped(signal.SIGINT) from None
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


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn SIGTERM into `Stopped` for a while.

    In the main thread alone, where signals can be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise Stopped(number)

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
