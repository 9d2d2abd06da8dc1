"""Faults on purpose: how they are drawn and counted, and the processes that they happen to.

A test of `tests/storm` counts each fault, and for each group has a negative control: something
that is lost on purpose, which what judges the others must notice.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from welltuned.runs import Run
from welltuned.runs.checkpoints import newest_checkpoint

SEED = int(os.environ.get("STORM_SEED", "1"))
"""What all faults are drawn from."""


class Storm:
    """The faults of one test: `with storm.fault(): …` around each and around its judge."""

    def __init__(self, group: str, name: str) -> None:
        self.group = group
        self.draw = random.Random(f"{SEED} {name}")
        self.tried = self.survived = self.controls = 0

    @contextmanager
    def fault(self, number: int = 1) -> Iterator[None]:
        """So many faults; they are survived if nothing is raised."""
        self.tried += number
        yield
        self.survived += number

    @contextmanager
    def control(self, loss: str) -> Iterator[None]:
        """A negative control: what judges must find this lost."""
        with pytest.raises(AssertionError, match=loss):
            yield
        self.controls += 1


def seeded(short: int, long: int) -> pytest.MarkDecorator:
    """Repeats a test: a few times in every suite, as often as is said in a whole storm."""
    rest = [pytest.param(number, marks=pytest.mark.storm) for number in range(short, long)]
    return pytest.mark.parametrize("number", [*range(short), *rest])


def reached(run: Run) -> int:
    """The last step of which its metrics tell; 0 where there is none."""
    return max((row["step"] for row in run.read_lines("metrics.jsonl") if row["step"]), default=0)


def saved(run: Run) -> int:
    """The step that it would go on from; 0 for the beginning."""
    newest = newest_checkpoint(run.snapshots)
    return int(newest.name.removeprefix("step-")) if newest is not None else 0


# --- In a process of its own ----------------------------------------------------------------------

PATCH = pytest.MonkeyPatch()
"""Undone by the end of the process."""


def live(request: Any, tell: Any) -> None:
    """Begin a run, or go on with what there is of one, as far as it comes.

    `suffers` names a function of this file that is called first, with `suffering`.
    """
    import welltuned as wt
    from welltuned.runs.folder import START
    from welltuned.training.observer import Observer
    from welltuned.training.train import resume_training

    if request.get("suffers"):
        globals()[request["suffers"]](**request.get("suffering", {}))
    values, folder = request["values"], Path(request["values"]["output_dir"])
    if (folder / START).exists():
        resume_training(folder, Observer())
    else:
        wt.train(values, observer=Observer())


def command(request: Any, tell: Any) -> None:
    """A command of `welltuned`; what it tells people goes into the file `told`."""
    os.dup2(os.open(request["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    from welltuned import cli

    if request.get("suffers"):
        globals()[request["suffers"]](**request.get("suffering", {}))
    sys.argv = ["welltuned", *request["arguments"]]
    cli.main()


def die_after(step: int) -> None:
    """Be killed once so many steps are taken and told of."""
    from welltuned.training.observer import Recorder

    stepped = Recorder.stepped

    def die(recorder: Recorder, told: Any) -> None:
        stepped(recorder, told)
        if told.step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    PATCH.setattr(Recorder, "stepped", die)


def forget_moments() -> None:
    """Restore no state of an optimizer: the negative control of resuming."""
    from welltuned.engines import loop_state

    PATCH.setattr(loop_state, "restore_optimizer", lambda *arguments: None)


def save_every_second() -> None:
    """Save after every second step, also where no setting says so."""
    from welltuned.engines.save_schedule import SaveSchedule

    PATCH.setattr(SaveSchedule, "is_due", lambda schedule, step: step % 2 == 0)
