"""Faults that a process does to itself, and what a process of `forking` does that suffers them.

`forks.begin(live, values=…, **named({"suffers": die_after, "suffering": {"step": 5}}))`
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

PATCH = pytest.MonkeyPatch()
"""Undone by the end of the process."""


def named(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the name of the fault in place of its function."""
    return {**request, **({"suffers": request["suffers"].__name__} if "suffers" in request else {})}


def _suffer(request: Mapping[str, Any]) -> None:
    if "suffers" in request:
        globals()[request["suffers"]](**request.get("suffering", {}))


def live(request: Any, tell: Any) -> None:
    """Begin a run, or go on with what there is of one, as far as it comes."""
    import welltuned as wt
    from welltuned.runs.folder import START
    from welltuned.training.observer import Observer
    from welltuned.training.train import resume_training

    _suffer(request)
    values, folder = request["values"], Path(request["values"]["output_dir"])
    if (folder / START).exists():
        resume_training(folder, Observer())
    else:
        wt.train(values, observer=Observer())


def live_as_rank(request: Any, tell: Any) -> None:
    """Train as one of several processes, with what a launcher tells each in its environment."""
    os.environ.update(request["environment"])
    import welltuned as wt

    _suffer(request)
    wt.train(**request["values"])


def wait(request: Any, tell: Any) -> None:
    """Do nothing, for longer than anybody waits for it."""
    time.sleep(600)


def command(request: Any, tell: Any) -> None:
    """A command of `welltuned`; what it tells people goes into the file `told`."""
    os.dup2(os.open(request["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    from welltuned import cli

    _suffer(request)
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
    from welltuned.engines import snapshot

    PATCH.setattr(snapshot, "restore_optimizer", lambda *arguments: None)


def save_every_second() -> None:
    """Save after every second step, also where no setting says so."""
    from welltuned.engines.save_schedule import SaveSchedule

    PATCH.setattr(SaveSchedule, "is_due", lambda schedule, step: step % 2 == 0)


def be_signalled(
    place: str, numbers: list[int], note: str, when: str = "before", call: int = 1
) -> None:
    """Send oneself signals when a function, `MODULE:NAME`, is called the n-th time.

    The second at which that was is written into the file `note`.
    """
    module, _, name = place.partition(":")
    *path, last = name.split(".")
    owner: Any = importlib.import_module(module)
    for part in path:
        owner = getattr(owner, part)
    real, calls = getattr(owner, last), count(1)

    def signalled(*arguments: Any, **options: Any) -> Any:
        mine = next(calls) == call
        if mine and when == "before":
            _signal(numbers, note)
        made = real(*arguments, **options)
        if mine and when == "after":
            _signal(numbers, note)
        return made

    PATCH.setattr(owner, last, signalled)


def _signal(numbers: list[int], note: str) -> None:
    Path(note).write_text(str(time.time()))
    for number in numbers:
        os.kill(os.getpid(), number)


def fill_a_disk(request: Any, tell: Any) -> None:
    """Train on a small disk that is filled after some steps but for `room` bytes; make room; go on.

    The status is 77 where no disk of one's own is to be had.
    """
    from welltuned.config import run_config_from
    from welltuned.errors import RunFailed
    from welltuned.training.observer import Observer
    from welltuned.training.train import resume_training, run_training

    folder = Path(request["values"]["output_dir"])
    if not _mount_a_disk(folder.parent, "32m"):
        sys.exit(77)
    filler = folder.parent / "filler"

    class Filling(Observer):
        def stepped(self, step: Any) -> None:
            if step.step == request["step"]:
                free = shutil.disk_usage(folder.parent).free
                filler.write_bytes(bytes(max(0, free - request["room"])))

    try:
        run_training(run_config_from(request["values"]), Filling())
    except RunFailed as error:
        assert error.faults[0].code == "run.disk_full", error
    else:
        raise AssertionError("the disk was never full")
    assert not list(folder.rglob(".*.new")), "half of something is left"
    filler.unlink()
    resume_training(folder, Observer())
    shutil.copytree(folder, request["copy"])


def _mount_a_disk(folder: Path, size: str) -> bool:
    """A tmpfs that this process alone sees, and that ends with it."""
    import ctypes

    new_mounts, new_users = 0x00020000, 0x10000000
    library = ctypes.CDLL(None, use_errno=True)
    flags = new_mounts if os.geteuid() == 0 else new_mounts | new_users
    if not sys.platform.startswith("linux") or library.unshare(flags):
        return False
    private = 1 << 18 | 1 << 14  # MS_PRIVATE, MS_REC: nobody else sees it
    library.mount(None, b"/", None, private, None)
    mounted = library.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, f"size={size}".encode())
    return bool(mounted == 0)
