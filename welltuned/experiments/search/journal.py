"""Trial journal: which trials are finished, running and next.

It is Optuna's, in a file that only grows, and several processes may share it. A process holds
a lock on each trial it carries out. The system lets go of it when the process dies, so a trial
that is under way but whose lock is free has lost its process: it is settled by what its run
folder says, or tried again.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from welltuned.experiments.search.past import (
    STUDY,
    past_of,
    sampler_for,
    study_of,
    window_of,
)
from welltuned.experiments.search.plan import SweepPlan
from welltuned.experiments.search.space import Choices, Value
from welltuned.runs import Run
from welltuned.runs.locks import Lock, holding
from welltuned.runs.resumable_folder import LOCKS

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

_ATTEMPTS = 3
"""How often a trial is begun whose process dies: it may be the trial that kills it."""


@dataclass
class Trial:
    """A trial that this process carries out."""

    number: int
    values: dict[str, Value]
    folder: Path
    claim: Lock
    optuna: optuna.Trial
    past: list[FrozenTrial]
    """What it is proposed from and judged by: the trials before, as far as it may know of them."""


@dataclass(frozen=True)
class TrialRow:
    """What is known of a trial."""

    number: int
    state: str
    """waiting, running, finished, pruned, failed, or repeated (by a later trial, after its
    process died or was stopped)."""
    values: dict[str, Value]
    value: float | None
    """The score that decides, of a finished trial."""
    curve: list[float]
    """The same at each evaluation."""
    reason: str | None
    """Why it was pruned or failed."""
    usual: bool
    """Whether it is what a run without a sweep would be."""
    seconds: float | None
    """From its beginning to its end; CPU seconds where it ran beside others."""
    side_by_side: bool
    """Whether it ran beside others."""


class Journal:
    """One process's view of the journal."""

    def __init__(self, plan: SweepPlan, at_once: int = 1) -> None:
        """`at_once` is how many trials this process has under way at a time."""
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._plan = plan
        self._window = window_of(plan.settings, at_once)
        self._mine: set[int] = set()
        self._lock = plan.folder / LOCKS / "trials"
        file = plan.folder / "journal.log"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            backend = JournalFileBackend(str(file), cast(Any, _JournalLock(file)))
            self._storage = JournalStorage(backend)
            with holding(self._lock):
                self.study = optuna.create_study(
                    study_name=STUDY,
                    storage=self._storage,
                    load_if_exists=True,
                    direction="maximize" if plan.maximize else "minimize",
                )
                self._enqueue_first()

    def _enqueue_first(self) -> None:
        """What comes before anything is chosen: the grid or, else, what is usual.

        What is there already is passed over, so that a crash in between does no harm.
        """
        plan = self._plan
        if plan.settings.sampler == "grid":
            lists = [dimension.values for dimension in plan.space if isinstance(dimension, Choices)]
            for values in product(*lists):
                keyed = zip((d.key for d in plan.space), values, strict=True)
                self._enqueue(dict(keyed), once=True)
        elif plan.usual:
            self._enqueue(plan.usual, once=True)

    def _enqueue(self, values: dict[str, Value], attempt: int = 1, once: bool = False) -> None:
        space = [dimension for dimension in self._plan.space if dimension.key in values]
        parameters = {d.key: d.parameter(values[d.key]) for d in space}
        self.study.enqueue_trial(parameters, user_attrs={"attempt": attempt}, skip_if_exists=once)

    # --- Taking and giving back ---

    def take(self) -> Trial | None:
        """The next trial, claimed by this process.

        None when there is none left to begin, or none before one of this process's own has ended.
        """
        plan = self._plan
        with holding(self._lock):
            self._recover()
            trials = self.study.get_trials(deepcopy=False)
            if not self._may_begin(trials):
                return None
            number = next((t.number for t in trials if _state(t) == "waiting"), len(trials))
            if any(mine <= number - self._window for mine in self._mine):
                return None
            past = past_of(trials, number, self._window)
            self.study.sampler = sampler_for(plan.settings, len(trials))
            if number == len(trials):
                self._propose(past)
            trial = self.study.ask(self._distributions())
            claim = self._claim(trial.number)
            claim.acquire()
            self._mine.add(trial.number)
        values = {d.key: d.value(trial.params[d.key]) for d in plan.space}
        return Trial(trial.number, values, self._folder(trial.number), claim, trial, past)

    def _may_begin(self, trials: list[FrozenTrial]) -> bool:
        """Whether the sweep has a trial left."""
        states = [_state(trial) for trial in trials]
        begun = sum(state not in ("waiting", "repeated") for state in states)
        is_grid = self._plan.settings.sampler == "grid"
        return begun < self._plan.settings.trials and (not is_grid or "waiting" in states)

    def _propose(self, past: list[FrozenTrial]) -> None:
        """Put what follows from the past at the end of the queue."""
        study = study_of(past, self._plan.maximize, self.study.sampler)
        self.study.enqueue_trial(study.ask(self._distributions()).params)

    def _distributions(self) -> dict[str, BaseDistribution]:
        return {dimension.key: dimension.distribution() for dimension in self._plan.space}

    def report(self, trial: Trial, look: int, value: float, rungs: Mapping[str, float]) -> None:
        """Keep an evaluation of a trial under way, and what its pruner noted with it.

        A trial that is begun again tells its first ones once more.
        """
        study = self._storage.get_study_id_from_name(STUDY)
        known = self._storage.get_trial_id_from_study_id_trial_number(study, trial.number)
        self._storage.set_trial_intermediate_value(known, look, value)
        for name, reached in rungs.items():
            self._storage.set_trial_system_attr(known, name, reached)

    def computed(self, trial: Trial, cpu_seconds: float) -> None:
        """Keep what a trial computed: the clock also counts its waiting for those beside it."""
        trial.optuna.set_user_attr("cpu_seconds", cpu_seconds)

    def finish(self, trial: Trial, value: float) -> None:
        """It came to its end with this score."""
        self.study.tell(trial.optuna, value)
        self._let_go(trial)

    def prune(self, trial: Trial, reason: str) -> None:
        """It was given up for others' sake."""
        self._end(trial, reason, failed=False)

    def fail(self, trial: Trial, reason: str) -> None:
        """It could not be carried out. The sampler takes it for a bad place and stays away."""
        self._end(trial, reason, failed=True)

    def _end(self, trial: Trial, reason: str, failed: bool) -> None:
        from optuna.trial import TrialState

        trial.optuna.set_user_attr("reason", reason)
        trial.optuna.set_user_attr("failed", failed)
        self.study.tell(trial.optuna, state=TrialState.PRUNED)
        self._let_go(trial)

    def give_back(self, trial: Trial) -> None:
        """This process was told to stop; someone will begin the trial again."""
        from optuna.trial import TrialState

        with holding(self._lock):
            attempt = int(trial.optuna.user_attrs.get("attempt", 1))
            trial.optuna.set_user_attr("repeated", True)
            self._enqueue(trial.values, attempt)
            self.study.tell(trial.optuna, state=TrialState.FAIL)
        self._let_go(trial)

    def _let_go(self, trial: Trial) -> None:
        trial.claim.release()
        self._mine.discard(trial.number)

    def _recover(self) -> None:
        """Settle trials whose process has died."""
        from optuna.trial import TrialState

        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            claim = self._claim(frozen.number)
            if claim.acquire(wait=False):
                self._settle(frozen)
                claim.release()

    def _settle(self, frozen: FrozenTrial) -> None:
        from optuna.trial import TrialState

        file = self._folder(frozen.number) / "status.json"
        run = Run(file.parent) if file.exists() else None
        value = self.score(run) if run is not None and run.is_finished else None
        if value is not None:
            self.study.tell(frozen.number, value)
            return
        if run is not None and run.is_running:
            run.set_status("failed", run.step, "its process ended without a word")
        attempt = int(frozen.user_attrs.get("attempt", 1))
        parameters = frozen.params or frozen.system_attrs.get("fixed_params", {})
        if attempt < _ATTEMPTS and parameters:
            self.study.enqueue_trial(parameters, user_attrs={"attempt": attempt + 1})
        self.study.tell(frozen.number, state=TrialState.FAIL)

    def _claim(self, number: int) -> Lock:
        return Lock(self._plan.folder / LOCKS / f"trial-{number}")

    def _folder(self, number: int) -> Path:
        return self._plan.folder / "trials" / str(number)

    # --- Looking ---

    def score(self, run: Run) -> float | None:
        """The score that decides, of a finished run; None when it is not finite."""
        value = run.results["validation"][self._plan.metric]
        return None if value is None else float(value)

    def rows(self) -> list[TrialRow]:
        """All trials, in order."""
        return [self._row(frozen) for frozen in self.study.get_trials(deepcopy=False)]

    def _row(self, frozen: FrozenTrial) -> TrialRow:
        parameters = frozen.params or frozen.system_attrs.get("fixed_params", {})
        values = {
            d.key: d.value(parameters[d.key]) for d in self._plan.space if d.key in parameters
        }
        usual, computed = self._plan.usual, frozen.user_attrs.get("cpu_seconds")
        clock = frozen.duration.total_seconds() if frozen.duration else None
        return TrialRow(
            number=frozen.number,
            state=_state(frozen),
            values=values,
            value=frozen.value if frozen.state.name == "COMPLETE" else None,
            curve=[value for _, value in sorted(frozen.intermediate_values.items())],
            reason=_reason(frozen),
            usual=len(usual) == len(self._plan.space) and values == usual,
            seconds=clock if computed is None else computed,
            side_by_side=computed is not None,
        )


def _state(frozen: FrozenTrial) -> str:
    attributes = frozen.user_attrs
    if frozen.state.name == "FAIL":
        given_up = attributes.get("attempt", 1) >= _ATTEMPTS and not attributes.get("repeated")
        return "failed" if given_up else "repeated"
    if frozen.state.name == "PRUNED":
        return "failed" if attributes.get("failed") else "pruned"
    return {"WAITING": "waiting", "RUNNING": "running", "COMPLETE": "finished"}[frozen.state.name]


def _reason(frozen: FrozenTrial) -> str | None:
    died = _state(frozen) == "failed" and frozen.state.name == "FAIL"
    reason = f"its process died {_ATTEMPTS} times" if died else frozen.user_attrs.get("reason")
    return cast("str | None", reason)


class _JournalLock:
    """Optuna's lock of the journal, free again when its holder dies.

    Whoever takes it cuts off a line that a crash has left unfinished.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = Lock(file.parent / LOCKS / "journal")

    def acquire(self) -> bool:
        self._lock.acquire()
        with self._file.open("r+b") as journal:
            if journal.seek(0, os.SEEK_END):
                journal.seek(-1, os.SEEK_END)
                if journal.read() != b"\n":
                    journal.seek(0)
                    journal.truncate(journal.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._lock.release()
