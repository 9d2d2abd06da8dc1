"""Feasibility check: can every variant start, how long is an epoch, how long a step?

What is found holds for all cells alike: the same splits, the same precision and
the same pooling, so that nothing but the strategy differs.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from welltuned.config import RunConfig, run_config_from
from welltuned.engines.events import Step
from welltuned.engines.step_plan import plan_batches
from welltuned.errors import InputError
from welltuned.experiments.comparison.chosen_models import is_about_model
from welltuned.experiments.comparison.rlhf_variant import check_rlhf_variant
from welltuned.experiments.comparison.worker.protocol import Request
from welltuned.experiments.executors.shared_data import shared_data
from welltuned.experiments.executors.telling import TellingObserver
from welltuned.rlhf import read_config
from welltuned.runs.results_schema import Scores
from welltuned.training.observer import Observer
from welltuned.training.output_folder import require_space
from welltuned.training.preparation.data_cache import DataCache
from welltuned.training.preparation.prepare import RunPlan, prepare

if TYPE_CHECKING:
    from welltuned.experiments.executors.process import Tell

_TIMED_STEPS = 12
_WARM_UP = 4


def check_feasibility(request: Request, tell: Tell) -> None:
    """Check each variant, and time a few steps of those named in `timed`.

    Tells `checked` for each, or `cannot` with the faults; and `timed`.
    """
    cache = shared_data(request)
    unusable: dict[str, list[dict[str, object]]] = {}
    for variant in request["variants"]:
        tell("working", what=f"checking {variant['name']}", done=0, total=1)
        config = run_config_from(variant["config"])
        if (known := unusable.get(config.model.title)) is not None:  # it is asked for once
            tell("cannot", name=variant["name"], faults=known)
            continue
        try:
            prepared, counts = _check(config, cache, TellingObserver(tell))
            require_space(config, prepared.anatomy, Path(request["folder"]))
            if (pipeline := variant["pipeline"]) is not None:
                stages = read_config.rlhf_config_from(pipeline)
                check_rlhf_variant(stages, config, prepared.data, Path(request["folder"]), cache)
        except InputError as error:
            faults = [fault.as_dict() for fault in error.faults]
            if variant["pipeline"] is None and any(map(is_about_model, error.faults)):
                unusable[config.model.title] = faults
            tell("cannot", name=variant["name"], faults=faults)
            continue
        tell("checked", name=variant["name"], **counts)
        if request["timed"]:
            tell("working", what=f"timing {variant['name']}", done=0, total=1)
            tell("timed", name=variant["name"], **_time(config, Path(request["folder"]), cache))


def _check(
    config: RunConfig, cache: DataCache, observer: Observer
) -> tuple[RunPlan, dict[str, Any]]:
    """The run prepared, and its steps per epoch and sizes of the splits. Raises `InputError`."""
    prepared = prepare(config, observer.working, cache)
    batches = plan_batches(prepared.learned, prepared.config.training.resolved())
    return prepared, {
        "steps_per_epoch": batches.count(1)[0],
        "validation": len(prepared.examples["validation"]),
        "train": len(prepared.examples["train"]),
        "metric": prepared.metric,
    }


class _Clock(Observer):
    """Times steps and evaluations on the validation split."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.look = 0.0
        self._stepped = 0.0

    def stepped(self, step: Step) -> None:
        self.steps.append(step.seconds)
        self._stepped = time.perf_counter()

    def evaluated(self, step: int, epoch: float, scores: Scores, best: bool) -> None:
        self.look = time.perf_counter() - self._stepped


def _time(config: RunConfig, folder: Path, cache: DataCache) -> dict[str, float]:
    """Seconds of a step, of an evaluation, and of all else in a run."""
    from welltuned.training.train import run_training

    training = config.training.model_copy(
        update={
            "max_steps": _TIMED_STEPS,
            "num_train_epochs": "auto",
            "eval_strategy": "epoch",
            "eval_steps": None,
        }
    )
    changes = {"training": training, "output_dir": str(folder)}
    clock, started = _Clock(), time.perf_counter()
    try:
        run_training(config.model_copy(update=changes), clock, cache=cache)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    spent = time.perf_counter() - started
    later = clock.steps[_WARM_UP:]
    return {
        "step": sum(later) / len(later),
        "look": clock.look,
        "rest": max(spent - sum(clock.steps) - clock.look, 0.0),
    }
