"""Validation schedule, best checkpoint and early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypedDict

from welltuned.engines import distributed
from welltuned.engines.config import TrainingConfig
from welltuned.engines.job import Job, Outcome
from welltuned.engines.step_plan import PlannedStep
from welltuned.errors import Fault, InputError
from welltuned.metrics import lower_is_better
from welltuned.runs.results_schema import Scores


class ValidatorState(TypedDict):
    """What a validator has noted so far."""

    best: float | None
    best_step: int | None
    without_better: int


class Validator:
    """Evaluates on the validation split on schedule and tracks the best score.

    A metric that is not finite never becomes the best; of equal scores the earlier
    one stays.
    """

    def __init__(
        self,
        training: TrainingConfig,
        metric: str,
        validate: Callable[[], Scores],
        keep: Callable[[int, Scores], None],
        together: bool = False,
    ) -> None:
        """`together`: all processes score and keep, for each holds a part of the weights."""
        self._together = together
        self._training = training
        self._metric = metric
        self._validate = validate
        self._keep = keep
        self._best: float | None = None
        self._without_better = 0
        self.best_step: int | None = None

    @classmethod
    def of(cls, job: Job) -> Validator:
        """The validator a job asks for."""
        training = job.training
        asked = training.metric_for_best_model, job.validate, job.keep
        return cls(training, *asked, together=job.sharded)

    def after(self, step: PlannedStep, total: int, job: Job, outcome: Outcome) -> Scores | None:
        """Evaluate if due, notify the listener, and note early stopping in `outcome`.

        Returns the scores if it evaluated.
        """
        if not self.is_due(step.number, total, step.ends_epoch):
            return None
        scores, best = self.look(step.number)
        job.listener.evaluated(step.number, step.epoch_after, scores, best)
        outcome.best_step = self.best_step
        outcome.stopped_early = self.should_stop
        return scores

    def is_due(self, step: int, total: int, ends_epoch: bool) -> bool:
        """Whether to evaluate after this step (from 1).

        The last step always is, unless evaluation is off.
        """
        if self._training.eval_strategy == "no":
            return False
        if step == total:
            return True
        if self._training.eval_strategy == "epoch":
            return ends_epoch
        assert self._training.eval_steps is not None
        return step % self._training.eval_steps == 0

    def look(self, step: int) -> tuple[Scores, bool]:
        """Evaluate now.

        Returns the scores and whether they are the best so far (then the weights are kept).
        """
        own = self._validate() if self._together else None
        scores = distributed.from_main(lambda: self._validate() if own is None else own)
        value = signed(scores, self._metric)
        better = math.isfinite(value) and (self._best is None or value > self._best)
        if better:
            self._best, self.best_step, self._without_better = value, step, 0
            keeps = self._together or distributed.is_main()
            if self._training.load_best_model_at_end and keeps:
                self._keep(step, scores)
        else:
            self._without_better += 1
        return scores, better

    def state(self) -> ValidatorState:
        """What it has noted so far, for `restore`."""
        best, without = self._best, self._without_better
        return {"best": best, "best_step": self.best_step, "without_better": without}

    def restore(self, state: ValidatorState) -> None:
        """Go on from what another one had noted."""
        self._best, self.best_step = state["best"], state["best_step"]
        self._without_better = state["without_better"]

    @property
    def should_stop(self) -> bool:
        patience = self._training.early_stopping_patience
        return patience is not None and self._without_better >= patience


def signed(scores: Scores, metric: str) -> float:
    """The selection metric, higher being better. Raises `InputError` when there is none."""
    if not isinstance(scores.get(metric), (int, float)):
        known = ", ".join(name for name, value in scores.items() if isinstance(value, float))
        raise InputError(
            Fault(
                "training.metric_unknown",
                "no validation score '{metric}'",
                None,
                "training.metric_for_best_model is one of: {known}",
                metric=metric,
                known=known,
            )
        )
    value = float(scores[metric])
    return -value if lower_is_better(metric) else value
