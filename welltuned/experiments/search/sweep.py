"""Sweep: trial after trial, each an ordinary run that never reads the test split.

FOLDER/  config.yaml    what was asked; the folder takes up no other question
         journal.log    Optuna's journal of trials, shared by all processes
         trials/N/      a run each
         sweep.json     the trials so far, the best of them, and what mattered
         best.yaml      the best trial's config, to be trained and tested once
         report.html    one file, no network
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from welltuned.errors import Fault, InputError, Pruned, RunFailed, Stopped
from welltuned.experiments.search.config import SweepConfig
from welltuned.experiments.search.journal import Journal, Trial, TrialRow
from welltuned.experiments.search.plan import SweepPlan, plan_sweep
from welltuned.experiments.search.summary import drop_weights, importance, write_summary
from welltuned.experiments.search.watching import Forwarded
from welltuned.reports.sweep import write_sweep_report
from welltuned.runs.locks import holding
from welltuned.runs.results_schema import Scores
from welltuned.runs.resumable_folder import LOCKS, enter
from welltuned.schema.document import Document
from welltuned.training.data_cache import DataCache
from welltuned.training.observer import Observer
from welltuned.training.train import run_training

_PATIENCE = 3
"""After so many trials in a row that fail for reasons of their own, the machine is at fault."""


class SweepObserver(Observer):
    """Hears of a sweep, and of the run that is under way; each method does nothing by itself."""

    def planned(self, plan: SweepPlan, rows: list[TrialRow]) -> None:
        """Everything was checked; these trials are there already."""

    def trial_started(self, trial: Trial) -> None:
        """A trial begins."""

    def trial_ended(self, row: TrialRow, rows: list[TrialRow]) -> None:
        """A trial has ended; with all there are now."""


def run_sweep(
    config: SweepConfig,
    document: Document | None = None,
    observer: SweepObserver | None = None,
    cache: DataCache | None = None,
) -> Path:
    """Carry out a sweep, or go on with it, and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed`
    when trials fail one after another.
    """
    observer = observer or SweepObserver()
    cache = cache or DataCache()
    plan = plan_sweep(config, document, observer.working, cache)
    enter(plan.folder, plan.identity)
    journal = Journal(plan)
    observer.planned(plan, journal.rows())
    seconds = plan.settings.seconds
    end = math.inf if seconds is None else time.monotonic() + seconds
    broken = 0
    while time.monotonic() < end and (trial := journal.take()) is not None:
        observer.trial_started(trial)
        sound = _carry_out(plan, journal, trial, observer, cache)
        rows = _settle(plan, journal)
        observer.trial_ended(rows[trial.number], rows)
        broken = 0 if sound else broken + 1
        if broken == _PATIENCE:
            reason = rows[trial.number].reason
            raise RunFailed(
                Fault(
                    "sweep.trials_keep_failing",
                    "{number} trials in a row failed; the last: {reason}",
                    number=broken,
                    reason=reason,
                )
            )
    rows = _settle(plan, journal, weigh=True)
    write_sweep_report(plan.folder)
    if rows and all(row.state in ("failed", "pruned") for row in rows):
        raise RunFailed(
            Fault(
                "sweep.no_trial_finished",
                "no trial finished; the last one: {reason}",
                reason=rows[-1].reason,
            )
        )
    return plan.folder


def _carry_out(
    plan: SweepPlan, journal: Journal, trial: Trial, observer: SweepObserver, cache: DataCache
) -> bool:
    """Train, and tell the journal what came of it.

    Returns whether the trial ended for reasons that lie in its values.
    """
    try:
        config = plan.trial(trial.values, trial.folder)
        run = run_training(config, _Judge(plan, trial, observer), cache=cache)
    except (Stopped, KeyboardInterrupt):
        journal.give_back(trial)
        raise
    except Pruned as pruned:
        journal.prune(trial, str(pruned))
    except (InputError, RunFailed) as error:
        journal.fail(trial, " ".join(str(error).split()))
        return error.__cause__ is None  # else something unforeseen was raised
    else:
        value = journal.score(run)
        if value is None:
            journal.fail(trial, f"its validation {plan.metric} is not a finite number")
        else:
            journal.finish(trial, value)
    return True


def _settle(plan: SweepPlan, journal: Journal, weigh: bool = False) -> list[TrialRow]:
    """Bring the folder up to date with the journal, one process at a time.

    `weigh` asks what mattered, which takes long with many trials.
    """
    with holding(plan.folder / LOCKS / "summary"):
        rows = journal.rows()
        write_summary(plan, rows, importance(rows, journal.study) if weigh else {})
        drop_weights(plan, rows)
    return rows


class _Judge(Forwarded):
    """Reports each evaluation to the journal, and ends the run where that says so."""

    def __init__(self, plan: SweepPlan, trial: Trial, watcher: SweepObserver) -> None:
        super().__init__(watcher)
        self._metric = plan.metric
        self._trial = trial
        self._total = self._looks = 0

    def started(self, total_steps: int) -> None:
        super().started(total_steps)
        self._total = total_steps

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        self._looks += 1
        value = float(scores[self._metric])
        # Trials are compared look by look: with evaluations every epoch, after as many examples.
        self._trial.optuna.report(value, self._looks)
        if step < self._total and self._trial.optuna.should_prune():
            raise Pruned(
                Fault(
                    "sweep.pruned",
                    "pruned at step {step} of {steps}: {metric} {value:.4f} is behind that of "
                    "earlier trials",
                    step=step,
                    steps=self._total,
                    metric=self._metric,
                    value=value,
                )
            )
