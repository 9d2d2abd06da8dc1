"""Running the points of a learning curve that are missing, several side by side."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING

from welltuned.errors import Fault, Faults, RunFailed
from welltuned.experiments.executors.base import Event, Pool
from welltuned.experiments.executors.side_by_side import SideBySide, room_in, threads_for
from welltuned.experiments.executors.train_run import TRAIN
from welltuned.runs import Run
from welltuned.training.observer import Observer
from welltuned.training.preparation.data_cache import DataCache

if TYPE_CHECKING:
    from welltuned.experiments.search.learning_curve import CurvePlan


class CurveObserver(Observer):
    """Hears of a learning curve, and how far its runs are."""

    def planned(self, plan: CurvePlan) -> None:
        """Everything was checked."""

    def point_started(self, size: int, seed: int) -> None:
        """A run begins."""

    def point_advanced(self, size: int, seed: int, doing: str) -> None:
        """A run has come this far."""

    def point_lost(self, size: int, seed: int, reason: str) -> None:
        """The process of a run has died; the run is going to be begun again."""

    def point_ended(self, size: int, seed: int, score: float, seconds: float | None) -> None:
        """A run has ended; `seconds` is None when it was there already."""


class PointRunner(SideBySide[tuple[int, int]]):
    """Runs the points that are missing, by examples and seed, each by a worker of its own."""

    def __init__(
        self, plan: CurvePlan, pool: Pool, observer: CurveObserver, cache: DataCache
    ) -> None:
        settings, points = plan.settings, list(plan.points())
        workers = settings.workers_for(len(points), plan.device, pool.cores)
        threads = threads_for(settings.threads, workers, pool.cores)
        super().__init__(pool, workers, threads, room_in(pool, settings.workers, plan.memory_bytes))
        self._plan, self._observer, self._cache = plan, observer, cache
        self._waiting = points

    def next_job(self) -> tuple[int, int] | None:
        while self._waiting:
            point = self._waiting.pop(0)
            if not Run(self._plan.run_folder(*point)).is_finished:
                self._observer.point_started(*point)
                return point
            self._observer.point_ended(*point, score_of(self._plan, *point), None)
        return None

    def request_of(self, job: tuple[int, int]) -> Mapping[str, object]:
        shutil.rmtree(self._plan.run_folder(*job), ignore_errors=True)
        config = self._plan.run(*job)
        # Each share is drawn here, from files that were read once.
        self._cache.splits(config.data, config.task, Faults())
        return {
            "do": TRAIN,
            "data": str(self._cache.folder),
            "config": config.model_dump(mode="json"),
        }

    def heard(self, job: tuple[int, int], event: Event) -> None:
        told = event.values
        if event.name == "stepped":
            doing = f"step {told['step']:,}/{told['total']:,} · loss {told['loss']:.4f}"
            self._observer.point_advanced(*job, doing)
        elif event.name == "working":
            self._observer.point_advanced(*job, told["what"])

    def ended(self, job: tuple[int, int], event: Event) -> None:
        folder, reason = self._plan.run_folder(*job), event.values["error"]
        if reason is not None:
            raise RunFailed(
                Fault(
                    "curve.run_failed",
                    "the run in {folder} failed: {reason}",
                    folder=folder,
                    reason=" ".join(reason.split()),
                )
            )
        score, seconds = score_of(self._plan, *job), Run(folder).results["cost"]["train_seconds"]
        self._observer.point_ended(*job, score, float(seconds))

    def lost(self, job: tuple[int, int], reason: str) -> None:
        self._observer.point_lost(*job, reason)

    def stopped(self, job: tuple[int, int]) -> None:
        """What it has left is cleared when someone begins it again."""


def score_of(plan: CurvePlan, size: int, seed: int) -> float:
    """The validation score of a finished run, whose weights are dropped."""
    folder = plan.run_folder(size, seed)
    run = Run(folder)
    for heavy in (run.model, run.checkpoints):
        shutil.rmtree(heavy, ignore_errors=True)  # nobody uses the models of a curve
    score = run.results["validation"][plan.metric]
    if score is None:
        raise RunFailed(
            Fault(
                "curve.score_not_finite",
                "the validation {metric} of {folder} is not a finite number",
                None,
                "look at that run; a lower training.learning_rate may help",
                metric=plan.metric,
                folder=folder,
            )
        )
    return float(score)
