"""Worker main program: `python -m welltuned.experiments.comparison.worker.process`.

It reads one request from standard input, a line of JSON, and tells what happens
on standard output, a line of JSON an event. A crash ends this process and nothing
else; when the process that asked is gone, this one goes too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from welltuned.config import run_config_from
from welltuned.errors import InputError, Stopped, WelltunedError
from welltuned.experiments.comparison.worker.protocol import Request, Tell, shared_data


def run_worker() -> None:
    """Carry out the request on standard input, and end with its exit status."""
    tell = _claim_stdout()
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(handle_request(request, tell))


def handle_request(request: Request, tell: Tell) -> int:
    """Do what a request asks for; returns the exit status. What is wrong is told."""
    try:
        _TASKS[request["do"]](request, tell)
    except InputError as error:
        tell("refused", faults=[fault.as_dict() for fault in error.faults])
        return error.exit_status
    except Stopped as stop:
        return stop.exit_status
    except WelltunedError as error:
        tell("failed", error=str(error))
        return error.exit_status
    return 0


def _claim_stdout() -> Tell:
    """Standard output for events alone: whatever libraries print goes to standard error."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: str, **values: Any) -> None:
        events.write(json.dumps({"event": event, **values}) + "\n")
        events.flush()

    return tell


def _end_with_parent() -> None:
    """Standard input closes when the parent ends, even when it is killed."""
    sys.stdin.read()
    os._exit(1)


def _train(request: Request, tell: Tell) -> None:
    from welltuned.experiments.comparison.worker.observers import TellingObserver
    from welltuned.training.train import run_training

    config, observer = run_config_from(request["config"]), TellingObserver(tell)
    run_training(config, observer, request["command"], shared_data(request))
    tell("finished", memory_bytes=_own_peak())


def _rlhf(request: Request, tell: Tell) -> None:
    from welltuned.experiments.comparison.worker.final_policy import carry_out_pipeline

    carry_out_pipeline(request, tell)
    tell("finished", memory_bytes=_own_peak())


def _scout(request: Request, tell: Tell) -> None:
    from welltuned.experiments.comparison.worker.feasibility import check_feasibility

    check_feasibility(request, tell)


def _baselines(request: Request, tell: Tell) -> None:
    from welltuned.experiments.comparison.worker.baselines import run_baselines

    run_baselines(request, tell)


def _tune(request: Request, tell: Tell) -> None:
    from welltuned.experiments.comparison.worker.trials import find_best

    find_best(request, tell)


_TASKS: dict[str, Callable[[Request, Tell], None]] = {
    "scout": _scout,
    "baselines": _baselines,
    "tune": _tune,
    "train": _train,
    "rlhf": _rlhf,
}
"""Who carries a request out, by the request's `do`."""


def _own_peak() -> int:
    """The most memory this process ever held."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    run_worker()
