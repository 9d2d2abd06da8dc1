"""Equal budget: the training steps and validations each strategy may use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from welltuned.engines.config import TrainingConfig
from welltuned.errors import Fault, InputError
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.runs.comparison_schema import BudgetRecord

_EPOCHS = 3.0
"""The default where no length of training is given."""
_MOST_LOOKS = 4
"""Evaluations per epoch, when the validation split is small beside the training data."""
_CAUTION = 0.95
"""The share of a time budget that is planned; the rest is for what takes longer than measured."""


@dataclass(frozen=True)
class CellBudget:
    """What a strategy's cells may spend."""

    steps_per_epoch: int
    max_steps: int | None
    epochs: float | None
    eval_steps: int | None

    def applied(self, training: TrainingConfig) -> TrainingConfig:
        """The training that spends this."""
        changes: dict[str, Any] = {
            "max_steps": self.max_steps,
            "num_train_epochs": "auto" if self.epochs is None else self.epochs,
        }
        if self.eval_steps is not None:
            changes |= {"eval_strategy": "steps", "eval_steps": self.eval_steps}
        return training.model_copy(update=changes)

    @property
    def planned_epochs(self) -> float:
        """How many epochs it is."""
        if self.epochs is not None:
            return self.epochs
        assert self.max_steps is not None
        return self.max_steps / self.steps_per_epoch

    def as_dict(self) -> BudgetRecord:
        return cast(BudgetRecord, asdict(self))


@dataclass(frozen=True)
class Feasibility:
    """What the feasibility check found out about a strategy."""

    steps_per_epoch: int
    train: int
    validation: int
    metric: str
    step: float = 0.0
    """Seconds of a step; like the next three only known when a time is to be shared out."""
    look: float = 0.0
    """Seconds of scoring the validation split."""
    rest: float = 0.0
    """Seconds of all else in a run: starting, loading, testing, saving, proving."""

    def eval_steps(self, training: TrainingConfig) -> int | None:
        """Steps between evaluations: often enough to see when the score converges.

        At most a sixth of the training time goes into them. None where the user sets it.
        """
        if training.eval_strategy != "epoch" or training.early_stopping_patience is not None:
            return None
        looks = min(max(self.train // (2 * self.validation), 1), _MOST_LOOKS)
        return math.ceil(self.steps_per_epoch / looks)

    def seconds(self, steps: int, training: TrainingConfig) -> float:
        """What a cell of so many steps takes."""
        distance = self.eval_steps(training) or self.steps_per_epoch
        return self.rest + steps * self.step + math.ceil(steps / distance) * self.look

    def steps_within(self, seconds: float, training: TrainingConfig) -> int:
        """How many steps fit into a cell of so many seconds."""
        distance = self.eval_steps(training) or self.steps_per_epoch
        return int((seconds - self.rest) / (self.step + self.look / distance))


def spend(
    config: CompareConfig,
    found: Mapping[str, Feasibility],
    trainings: Mapping[str, TrainingConfig],
    spent: float,
) -> dict[str, CellBudget]:
    """What each strategy, by name, may spend; `spent` seconds of a time budget are gone.

    Raises `InputError` when the time does not suffice for one epoch of each, and
    says what would.
    """
    if config.budget is None or config.budget.time is None:
        return {name: _asked(config, found[name], trainings[name]) for name in found}
    cells = len(config.seed_list) + (config.tune or 0)  # a trial of a search is a run too
    runs = cells * (config.data.folds or 1)
    share = (_CAUTION * config.budget.time - spent) / (len(found) * runs)
    steps = {name: found[name].steps_within(share, trainings[name]) for name in found}
    short = {name for name in found if steps[name] < found[name].steps_per_epoch}
    if short:
        raise InputError(_too_short(config, found, trainings, spent, steps, short))
    return {
        name: CellBudget(part.steps_per_epoch, steps[name], None, part.eval_steps(trainings[name]))
        for name, part in found.items()
    }


def seconds_left(config: CompareConfig, spent: float, cells: Iterable[float]) -> float:
    """What remains of a time budget once `spent` seconds and so many of each cell are gone.

    0 where the budget is no time.
    """
    if config.budget is None or config.budget.time is None:
        return 0.0
    return _CAUTION * config.budget.time - spent - sum(cells)


def _asked(config: CompareConfig, found: Feasibility, training: TrainingConfig) -> CellBudget:
    """A budget in epochs or steps; without one what `training` says."""
    steps, epochs = training.max_steps, training.num_train_epochs
    if config.budget is not None:
        steps, epochs = config.budget.steps, config.budget.epochs or "auto"
    if steps is None and epochs == "auto":
        epochs = _EPOCHS
    return CellBudget(
        steps_per_epoch=found.steps_per_epoch,
        max_steps=steps,
        epochs=None if steps is not None else float(epochs),
        eval_steps=found.eval_steps(training),
    )


def _too_short(
    config: CompareConfig,
    found: Mapping[str, Feasibility],
    trainings: Mapping[str, TrainingConfig],
    spent: float,
    steps: Mapping[str, int],
    short: set[str],
) -> Fault:
    assert config.budget is not None and config.budget.time is not None
    seeds, trials, budget = len(config.seed_list), config.tune or 0, config.budget.time
    folds = config.data.folds or 1
    runs = (seeds + trials) * folds
    epoch = {
        name: part.seconds(part.steps_per_epoch, trainings[name]) for name, part in found.items()
    }
    one_run = len(found) * max(epoch.values())  # every run gets as much as the slowest needs
    worst = min(short, key=lambda name: steps[name] / found[name].steps_per_epoch)
    epochs = max(steps[worst], 0) / found[worst].steps_per_epoch
    fits = [f"budget={_minutes(runs * one_run + spent)}m"]
    fitting = int((_CAUTION * budget - spent) / (one_run * folds)) - trials
    if 1 <= fitting < seeds:
        fits.append(f"seeds={fitting}")
    fits.append(f"budget.epochs=1 (about {_minutes(runs * sum(epoch.values()))}m)")
    tried = f"{trials} trials of each, " if trials else ""
    return Fault(
        "compare.budget_too_small",
        "'budget' is too small for one epoch of each strategy: '{worst}' would get {epochs:.2f} "
        "epochs ({strategies} strategies, {seeds}, {trials}{folds}a step of '{worst}' takes "
        "{step:.2g} s)",
        None,
        "use {fits}, fewer strategies, or fewer examples (data.max_train_examples)",
        worst=worst,
        epochs=epochs,
        strategies=len(found),
        seeds=_count(seeds, "seed"),
        trials=tried,
        folds=f"{folds} folds, " if folds > 1 else "",
        step=found[worst].step,
        fits=", ".join(fits),
    )


def _minutes(seconds: float) -> int:
    return math.ceil(seconds / _CAUTION / 60)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
