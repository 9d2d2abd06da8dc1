"""Trackio: files on this machine, or a Space where `TRACKIO_SPACE_ID` names one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import uuid4

from welltuned.training.trackers.base import PROJECT, End, TrackedRun, Tracker


class Trackio(Tracker):
    """`trackio show` opens what it was told."""

    package: ClassVar[str] = "trackio"

    def __init__(self) -> None:
        self._run: Any = None

    def begin(self, run: TrackedRun) -> str:
        import trackio

        # It knows runs by their names, which must not be those of others in other folders.
        name = run.known_as or f"{run.name}-{uuid4().hex[:6]}"
        self._run = trackio.init(
            project=os.environ.get("TRACKIO_PROJECT", PROJECT),
            name=name,
            group=run.group,
            config=run.settings,
            resume="allow",
            embed=False,
        )
        return name

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, how: End) -> None:
        self._run.finish()
