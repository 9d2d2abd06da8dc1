"""Learning curve: scores at growing fractions of the training data.

FOLDER/  config.yaml          what was asked; the folder takes up no other question
         points/EXAMPLES-SEED a run each, judged by validation; the test split stays sealed
         learning_curve.json  scores, the fitted law, predictions and advice
         report.html          one file, no network
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.config import RunConfig
from welltuned.errors import Fault, Faults, InputError, Place, RunFailed
from welltuned.experiments.search.config import CurveConfig, CurveSettings, as_run
from welltuned.experiments.search.forecast import extrapolate_curve
from welltuned.experiments.search.plan import output_folder, sealed, trial_of
from welltuned.experiments.search.watching import Forwarded
from welltuned.reports.learning_curve import write_curve_report
from welltuned.runs import Run
from welltuned.runs.folder import write_json
from welltuned.runs.locks import Lock
from welltuned.runs.resumable_folder import LOCKS, enter
from welltuned.schema.document import Document
from welltuned.schema.versions import LEARNING_CURVE
from welltuned.training.data_cache import DataCache
from welltuned.training.encode import Working
from welltuned.training.observer import Observer
from welltuned.training.output_folder import require_space
from welltuned.training.prepare import prepare
from welltuned.training.train import run_training

_FEWEST = 8
"""With fewer examples there is nothing to train on."""
_PASSES = 1600
"""So many examples every point sees at least, repeated where need be, unless all the data with
their epochs are fewer: it is the lack of data that shall show, and not a lack of steps."""


@dataclass(frozen=True)
class CurvePlan:
    """A validated learning curve, ready to start."""

    config: RunConfig
    settings: CurveSettings
    folder: Path
    sizes: tuple[int, ...]
    epochs: float
    """Over all the data; 0 where `max_steps` counts instead."""
    metric: str
    data_fingerprint: str

    def points(self) -> Iterator[tuple[int, int]]:
        """(examples, seed) of all runs, the cheap ones first."""
        yield from ((size, seed) for size in self.sizes for seed in range(self.settings.seeds))

    def run_folder(self, size: int, seed: int) -> Path:
        return self.folder / "points" / f"{size}-{seed}"

    def run(self, size: int, seed: int) -> RunConfig:
        """The config of one run."""
        base = trial_of(self.config, self.metric, self.run_folder(size, seed))
        first = base.training.seed
        training = {"seed": first + seed, **self._length(size)}
        data = {"max_train_examples": size, "sample_seed": first + seed}
        return base.model_copy(
            update={
                "training": base.training.model_copy(update=training),
                "data": base.data.model_copy(update=data),
            }
        )

    def _length(self, size: int) -> dict[str, Any]:
        """How long a run of this size trains; it looks at validation as often as the longest."""
        training = self.config.training
        if not self.epochs:
            return {}
        epochs = self.epochs_at(size)
        length: dict[str, Any] = {"num_train_epochs": epochs}
        if epochs > self.epochs and training.eval_strategy == "epoch":
            steps = epochs * math.ceil(size / training.examples_per_step)
            length |= {"eval_strategy": "steps", "eval_steps": math.ceil(steps / self.epochs)}
        return length

    def epochs_at(self, size: int) -> float:
        """As many as over all the data or, where that would be too few steps, more."""
        return max(self.epochs, min(self.epochs * self.sizes[-1], _PASSES) / size)


def plan_curve(
    config: CurveConfig,
    document: Document | None = None,
    progress: Working = lambda what, done, total: None,
    cache: DataCache | None = None,
) -> CurvePlan:
    """Check everything; no weights are loaded. Raises `InputError` with all faults found.

    `cache` has what other runs have read and tokenised.
    """
    document = document or Document(source="arguments")
    faults, base = Faults(), as_run(config)
    folder = output_folder(config, "curves", faults)
    try:
        prepared = prepare(sealed(base), progress, cache)
        require_space(base, prepared.anatomy, folder)
    except InputError as error:
        raise InputError([*faults, *error.faults]) from None
    total = len(prepared.data.train)
    sizes = tuple(round(share * total) for share in config.curve.shares)
    if sizes[0] < _FEWEST or len(set(sizes)) < len(sizes):
        faults.add(
            "curve.share_too_small",
            "the smallest share of {total:,} training examples is {examples}: too few",
            document.place(("curve", "shares")),
            "give shares of at least {least:.2g}",
            total=total,
            examples=sizes[0],
            least=_FEWEST / total,
        )
    faults.raise_if_any()
    training = prepared.config.training
    return CurvePlan(
        config=base,
        settings=config.curve,
        folder=folder,
        sizes=sizes,
        epochs=0.0 if training.max_steps else float(training.num_train_epochs),
        metric=prepared.metric,
        data_fingerprint=prepared.data.facts.fingerprint,
    )


class CurveObserver(Observer):
    """Hears of a learning curve, and of the run that is under way."""

    def planned(self, plan: CurvePlan) -> None:
        """Everything was checked."""

    def point_started(self, size: int, seed: int) -> None:
        """A run begins."""

    def point_ended(self, size: int, seed: int, score: float, seconds: float | None) -> None:
        """A run has ended; `seconds` is None when it was there already."""


def learning_curve(
    config: CurveConfig, document: Document | None = None, observer: CurveObserver | None = None
) -> Path:
    """Measure a learning curve, or go on with it, and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed`
    when a run fails.
    """
    observer, cache = observer or CurveObserver(), DataCache()
    plan = plan_curve(config, document, observer.working, cache)
    identity = {
        **plan.config.model_dump(mode="json", exclude={"output_dir", "report"}),
        "curve": plan.settings.model_dump(mode="json"),
        "data_fingerprint": plan.data_fingerprint,
    }
    enter(plan.folder, identity)
    work = Lock(plan.folder / LOCKS / "work")
    if not work.acquire(wait=False):
        raise InputError(
            Fault(
                "curve.in_progress",
                "another process is measuring this learning curve",
                Place(str(plan.folder)),
                "wait for it",
            )
        )
    try:
        observer.planned(plan)
        scores = np.array(
            [_measure(plan, size, seed, observer, cache) for size, seed in plan.points()]
        )
    finally:
        work.release()
    by_size = scores.reshape(len(plan.sizes), plan.settings.seeds)
    facts = {
        "model": plan.config.model.name,
        "data": plan.config.data.train,
        "strategy": plan.config.strategy.type,
        "data_fingerprint": plan.data_fingerprint,
        "language": plan.config.report.language,
    }
    found = {**facts, **extrapolate_curve(plan.metric, np.array(plan.sizes), by_size)}
    write_json(plan.folder / "learning_curve.json", LEARNING_CURVE.stamp(found))
    write_curve_report(plan.folder)
    return plan.folder


def _measure(
    plan: CurvePlan, size: int, seed: int, observer: CurveObserver, cache: DataCache
) -> float:
    """The validation score of one run, from its folder where it is there already."""
    folder = plan.run_folder(size, seed)
    seconds = None
    if not Run(folder).is_finished:
        shutil.rmtree(folder, ignore_errors=True)  # what a stopped or killed run has left
        observer.point_started(size, seed)
        run = run_training(plan.run(size, seed), Forwarded(observer), cache=cache)
        seconds = float(run.results["cost"]["train_seconds"])
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
    observer.point_ended(size, seed, float(score), seconds)
    return float(score)
