"""Learning curve: scores at growing fractions of the training data.

FOLDER/  config.yaml          what was asked; the folder takes up no other question
         points/EXAMPLES-SEED a run each, judged by validation; the test split stays sealed
         learning_curve.json  scores, the fitted law, predictions and advice
         report.html          one file, no network
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from welltuned.config import RunConfig
from welltuned.errors import Fault, Faults, InputError, Place
from welltuned.experiments.search.config import CurveConfig, CurveSettings, as_run
from welltuned.experiments.search.forecast import extrapolate_curve
from welltuned.experiments.search.plan import (
    device_of,
    memory_guess,
    output_folder,
    sealed,
    trial_of,
)
from welltuned.experiments.search.run_points import CurveObserver, PointRunner, score_of
from welltuned.reports.learning_curve import write_curve_report
from welltuned.runs.code_version import code_version
from welltuned.runs.folder import write_json
from welltuned.runs.locks import Lock
from welltuned.runs.resumable_folder import LOCKS, enter
from welltuned.runs.status import interruptible
from welltuned.schema.document import Document
from welltuned.schema.versions import LEARNING_CURVE
from welltuned.training.output_folder import require_space
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.encode import Working
from welltuned.training.preparation.prepare import prepare

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
    device: str
    """What runs train on: cpu, cuda or mps."""
    memory_bytes: int
    """What one is taken to hold, before any has ended."""

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
        device=device_of(base),
        memory_bytes=memory_guess(prepared),
    )


def learning_curve(
    config: CurveConfig, document: Document | None = None, observer: CurveObserver | None = None
) -> Path:
    """Measure a learning curve, or go on with it, and return its folder.

    Raises `InputError` before any weight is loaded when something cannot work, and `RunFailed`
    when a run fails.
    """
    observer, cache = observer or CurveObserver(), DataCache(version=code_version())
    with (
        interruptible(),
        config.curve.executor.open() as pool,
        tempfile.TemporaryDirectory(prefix="welltuned-curve-") as data,
    ):
        pool.warm_up()
        plan = plan_curve(config, document, observer.working, cache)
        with _entered(plan):
            observer.planned(plan)
            cache.share(Path(data))
            PointRunner(plan, pool, observer, cache).run()
            scores = np.array([score_of(plan, size, seed) for size, seed in plan.points()])
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


@contextmanager
def _entered(plan: CurvePlan) -> Iterator[None]:
    """The folder as this process's own. Raises `InputError` where it is another's."""
    identity = {
        **plan.config.model_dump(mode="json", exclude={"output_dir", "report"}),
        "curve": plan.settings.model_dump(mode="json", include={"shares", "seeds"}),
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
        yield
    finally:
        work.release()
