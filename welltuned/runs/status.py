"""Run status, kept true whatever happens."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from welltuned.errors import Fault, Pruned, RunFailed, Stopped, WelltunedError
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
            run.set_status("failed", run.step, f"{type(error).__name__}: {error}")
            if isinstance(error, WelltunedError) or not isinstance(error, Exception):
                raise
            raise RunFailed(
                Fault("run.crashed", "{error}", error=f"{type(error).__name__}: {error}")
            ) from error
    run.set_status("finished", run.step)


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
