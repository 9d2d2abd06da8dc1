"""Running the trials of sweeps, several side by side."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from welltuned.experiments.executors.base import Event, Pool
from welltuned.experiments.executors.side_by_side import Room, SideBySide
from welltuned.experiments.search.journal import Trial

if TYPE_CHECKING:
    from welltuned.experiments.search.sweep import Sweep


class TrialRunner(SideBySide[tuple["Sweep", Trial]]):
    """Runs trials, each by a worker of its own; several sweeps share the workers."""

    attempts = 3

    def __init__(
        self,
        sweeps: Sequence[Sweep],
        pool: Pool,
        workers: int,
        threads: int | None,
        room: Room | None,
    ) -> None:
        super().__init__(pool, workers, threads, room)
        self._sweeps = sweeps

    def next_job(self) -> tuple[Sweep, Trial] | None:
        """From the sweep that has begun least, so that none is left over to be alone at the end."""
        for sweep in sorted(self._sweeps, key=lambda sweep: sweep.begun):
            if (trial := sweep.next_trial()) is not None:
                return sweep, trial
        return None

    def request_of(self, job: tuple[Sweep, Trial]) -> Mapping[str, object]:
        sweep, trial = job
        shutil.rmtree(trial.folder, ignore_errors=True)
        return sweep.request_of(trial)

    def heard(self, job: tuple[Sweep, Trial], event: Event) -> None:
        sweep, trial = job
        sweep.heard(trial, event)

    def ended(self, job: tuple[Sweep, Trial], event: Event) -> None:
        sweep, trial = job
        sweep.ended(trial, event)

    def lost(self, job: tuple[Sweep, Trial], reason: str) -> None:
        sweep, trial = job
        sweep.lost(trial, reason)

    def stopped(self, job: tuple[Sweep, Trial]) -> None:
        sweep, trial = job
        sweep.stopped(trial)
