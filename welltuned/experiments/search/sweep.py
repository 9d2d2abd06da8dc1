"""Sweep: trials side by side, each an ordinary run that never reads the test split.

FOLDER/  config.yaml    what was asked; the folder takes up no other question
         journal.log    Optuna's journal of trials, shared by all processes
         trials/N/      a run each
         sweep.json     the trials so far, the best of them, and what mattered
         best.yaml      the best trial's config, to be trained and tested once
         report.html    one file, no network
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

from welltuned.errors import Fault, InputError, RunFailed
from welltuned.experiments.executors.base import Event
from welltuned.experiments.executors.side_by_side import room_in, threads_for
from welltuned.experiments.search.config import SweepConfig
from welltuned.experiments.search.journal import Journal, Trial, TrialRow
from welltuned.experiments.search.past import PastTrial, as_record
from welltuned.experiments.search.plan import SweepPlan, plan_sweep
from welltuned.experiments.search.run_trials import TrialRunner
from welltuned.experiments.search.summary import drop_weights, importance, write_summary
from welltuned.reports.sweep import write_sweep_report
from welltuned.runs import Run
from welltuned.runs.code_version import code_version
from welltuned.runs.locks import holding
from welltuned.runs.resumable_folder import LOCKS, enter
from welltuned.runs.status import interruptible
from welltuned.schema.document import Document
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache

_TRY = "welltuned.experiments.search.trial:carry_out_trial"
"""Who carries a trial out; imported in its process alone."""
_PATIENCE = 3
"""After so many trials in a row that fail for reasons of their own, the machine is at fault."""


class TrialRequest(TypedDict):
    """What a trial's worker is asked to do."""

    do: str
    data: str
    """The folder of what the sweep's processes have read and tokenised."""
    config: dict[str, Any]
    """The run's config, as its file would hold it."""
    metric: str
    """The validation score that decides."""
    maximize: bool
    pruner: str
    past: list[PastTrial]
    """The trials before, as far as this one may know of them."""


class SweepObserver(Observer):
    """Hears of a sweep, and how far its trials are; each method does nothing by itself."""

    def planned(self, plan: SweepPlan, rows: list[TrialRow]) -> None:
        """Everything was checked; these trials are there already."""

    def trial_started(self, trial: Trial) -> None:
        """A trial begins."""

    def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
        """A trial has come this far with what it is doing."""

    def trial_lost(self, trial: Trial, reason: str) -> None:
        """The process of a trial has died; the trial is going to be begun again."""

    def trial_ended(self, row: TrialRow, rows: list[TrialRow]) -> None:
        """A trial has ended; with all there are now."""


def run_sweep(
    config: SweepConfig, document: Document | None = None, observer: SweepObserver | None = None
) -> Path:
    """Carry out a sweep, or go on with it, and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed`
    when trials fail one after another.
    """
    observer, cache = observer or SweepObserver(), DataCache(version=code_version())
    with (
        interruptible(),
        config.sweep.executor.open() as pool,
        tempfile.TemporaryDirectory(prefix="welltuned-sweep-") as data,
    ):
        pool.warm_up()
        plan = plan_sweep(config, document, observer.working, cache)
        settings = plan.settings
        workers = settings.workers_for(settings.trials, plan.device, pool.cores)
        sweep = Sweep(plan, observer, Path(data), workers, workers)
        cache.share(Path(data))
        threads = threads_for(settings.threads, workers, pool.cores)
        room = room_in(pool, settings.workers, plan.memory_bytes)
        TrialRunner([sweep], pool, workers, threads, room).run()
    return sweep.finish()


class Sweep:
    """A sweep under way: its trials in the journal, and what is made of their ends."""

    def __init__(
        self, plan: SweepPlan, observer: SweepObserver, data: Path, workers: int, at_once: int
    ) -> None:
        """Begin in the plan's folder, or go on there. Raises `InputError` where that is in use.

        `data` is the folder of what processes have read and tokenised. Of `workers` side by side,
        which other sweeps may share, this one has `at_once`.
        """
        enter(plan.folder, plan.identity)
        self.plan = plan
        self._observer, self._data, self._is_alone = observer, data, workers == 1
        self._journal = Journal(plan, at_once)
        self._ends: dict[int, Event] = {}
        """What those under way have told of their end, by number."""
        self._broken, self._reason = 0, ""
        """How many have failed one after another, and why the last one did."""
        seconds = plan.settings.seconds
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        observer.planned(plan, self._journal.rows())

    @property
    def begun(self) -> int:
        """How many trials there are."""
        return sum(row.state != "waiting" for row in self._journal.rows())

    def next_trial(self) -> Trial | None:
        """The next one to begin; None while there is none."""
        while time.monotonic() < self._end and self._broken < _PATIENCE:
            trial = self._journal.take()
            if trial is None:
                break
            self._observer.trial_started(trial)
            try:
                self.plan.trial(trial.values, trial.folder)
            except InputError as error:  # each value by itself is right, but not all together
                self._fail(trial, str(error), foreseen=True)
                continue
            return trial
        return None

    def request_of(self, trial: Trial) -> TrialRequest:
        """What a trial's worker is asked."""
        config = self.plan.trial(trial.values, trial.folder)
        return {
            "do": _TRY,
            "data": str(self._data),
            "config": config.model_dump(mode="json"),
            "metric": self.plan.metric,
            "maximize": self.plan.maximize,
            "pruner": self.plan.settings.pruner,
            "past": [as_record(known) for known in trial.past],
        }

    def heard(self, trial: Trial, event: Event) -> None:
        """A trial's worker has told something."""
        told = event.values
        if event.name == "looked":
            self._journal.report(trial, told["look"], told["value"], told["rungs"])
        elif event.name in ("pruned", "given_up"):
            self._ends[trial.number] = event
        elif event.name == "working":
            self._observer.trial_advanced(trial, told["what"], told["done"], told["total"])
        elif event.name == "stepped":
            doing = f"step {told['step']:,}/{told['total']:,} · loss {told['loss']:.4f}"
            self._observer.trial_advanced(trial, doing, told["step"], told["total"])

    def lost(self, trial: Trial, reason: str) -> None:
        """A trial's worker has died, and the trial is going to be begun again."""
        self._ends.pop(trial.number, None)
        self._observer.trial_lost(trial, reason)

    def ended(self, trial: Trial, event: Event) -> None:
        """Tell the journal what came of a trial."""
        if not self._is_alone and event.worker.cpu_seconds is not None:
            self._journal.computed(trial, event.worker.cpu_seconds)
        told = self._ends.pop(trial.number, None)
        if (error := event.values["error"]) is not None:
            self._fail(trial, error, foreseen=False)
        elif told is None:
            self._finish(trial)
        elif told.name == "pruned":
            self._journal.prune(trial, told.values["reason"])
            self._settle(trial, foreseen=True)
        else:
            self._fail(trial, told.values["reason"], told.values["foreseen"])

    def stopped(self, trial: Trial) -> None:
        """A trial was stopped with everything else; someone will begin it again."""
        self._journal.give_back(trial)

    def finish(self) -> Path:
        """Say what mattered, write the report, and return the folder.

        Raises `RunFailed` where trials failed one after another, or none has finished.
        """
        rows = self._write(weigh=True)
        write_sweep_report(self.plan.folder)
        if self._broken >= _PATIENCE:
            raise RunFailed(
                Fault(
                    "sweep.trials_keep_failing",
                    "{number} trials in a row failed; the last: {reason}",
                    number=self._broken,
                    reason=self._reason,
                )
            )
        if rows and all(row.state in ("failed", "pruned") for row in rows):
            raise RunFailed(
                Fault(
                    "sweep.no_trial_finished",
                    "no trial finished; the last one: {reason}",
                    reason=rows[-1].reason,
                )
            )
        return self.plan.folder

    def _finish(self, trial: Trial) -> None:
        value = self._journal.score(Run(trial.folder))
        if value is None:
            reason = f"its validation {self.plan.metric} is not a finite number"
            self._fail(trial, reason, foreseen=True)
        else:
            self._journal.finish(trial, value)
            self._settle(trial, foreseen=True)

    def _fail(self, trial: Trial, reason: str, foreseen: bool) -> None:
        self._reason = " ".join(reason.split())
        self._journal.fail(trial, self._reason)
        self._settle(trial, foreseen)

    def _settle(self, trial: Trial, foreseen: bool) -> None:
        """A trial has ended; `foreseen` where the reasons lie in its values."""
        self._broken = 0 if foreseen else self._broken + 1
        rows = self._write()
        self._observer.trial_ended(rows[trial.number], rows)

    def _write(self, weigh: bool = False) -> list[TrialRow]:
        """Bring the folder up to date with the journal, one process at a time.

        `weigh` asks what mattered, which takes long with many trials.
        """
        with holding(self.plan.folder / LOCKS / "summary"):
            rows = self._journal.rows()
            shares = importance(rows, self._journal.study) if weigh else {}
            write_summary(self.plan, rows, shares)
            drop_weights(self.plan, rows)
        return rows
