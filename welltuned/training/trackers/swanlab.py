"""SwanLab, by its own settings: `swanlab login`, `SWANLAB_PROJECT`, `SWANLAB_MODE=offline`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from welltuned.training.trackers.base import PROJECT, End, TrackedRun, Tracker

_ID = 21
"""Letters of its ids, no more and no fewer."""
_STATE = {"finished": "success", "failed": "crashed", "stopped": "aborted"}


class SwanLab(Tracker):
    """Told of numbers and the config alone; one that cannot be reached fails, and is not
    replaced by files."""

    package: ClassVar[str] = "swanlab"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: TrackedRun) -> str:
        import swanlab

        name = run.known_as or uuid4().hex[:_ID]
        self._run = swanlab.init(
            project=os.environ.get("SWANLAB_PROJECT", PROJECT),
            experiment_name=run.name,
            group=run.group,
            id=name,
            resume="allow",
            config=dict(run.config),
            settings=swanlab.Settings(
                interactive=False,
                terminal={"proxy_type": "none"},
                probe={"runtime": False, "git": False, "requirements": False},  # the command line
                on_online_error=os.environ.get("SWANLAB_ON_ONLINE_ERROR", "raise"),
            ),
        )
        return name

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, how: End) -> None:
        error = "the run failed" if how == "failed" else None
        self._run.finish(state=_STATE[how], error=error)
