"""Default hyper-parameters by strategy, model and data size, each with its source.

The values stand in `strategies/defaults.yaml`, or in the strategy itself. `auto` resolves to a
number, reported with its source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import le
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

import yaml
from typing_extensions import TypeVar

from welltuned.config import RunConfig
from welltuned.engines.config import TrainingConfig
from welltuned.engines.optimizers.facts import optimizer_facts
from welltuned.errors import Fault, InputError
from welltuned.schema.part import Part
from welltuned.strategies import Strategy
from welltuned.tasks import Problem

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy

PartT = TypeVar("PartT", bound=Part)

_FILE = Path(__file__).parents[2] / "strategies" / "defaults.yaml"


_OF_THE_MODEL = ("kind", "parameters_up_to", "examples_up_to")
"""What an entry may ask of model and data."""

ValueT = TypeVar("ValueT", float, str, default=float)


@dataclass(frozen=True)
class Choice(Generic[ValueT]):
    """One hyper-parameter that was chosen for the user."""

    name: str
    value: ValueT
    source: str

    def __str__(self) -> str:
        value = self.value if isinstance(self.value, str) else f"{self.value:g}"
        return f"{self.name} = {value} ({self.source})"


@cache
def _defaults() -> dict[str, Any]:
    return yaml.safe_load(_FILE.read_text(encoding="utf-8"))


def defaults_for(strategy: Strategy, anatomy: Anatomy, examples: int) -> dict[str, Choice]:
    """The strategy's defaults by name, for so many training examples.

    They are those of the first entry that fits the model's kind and size, and the data's size.
    Raises `InputError` when the strategy has none.
    """
    sources = _defaults()["sources"]
    for entry in _entries(strategy):
        fits = entry.get("fits", {})
        if any(_said(strategy, name) not in values for name, values in _options(fits).items()):
            continue
        limits = (float(fits.get(f"{what}_up_to", "inf")) for what in ("parameters", "examples"))
        sizes = (anatomy.parameters, examples)
        if fits.get("kind", anatomy.kind) == anatomy.kind and all(map(le, sizes, limits)):
            return {
                name: Choice(name, float(given[0]), sources.get(given[1], given[1]))
                for name, given in entry.items()
                if name != "fits"
            }
    raise InputError(
        Fault(
            "strategy.no_defaults",
            "strategy '{strategy}' has no default hyper-parameters for this model ({kind})",
            None,
            "set those of training and strategy.head_learning_rate_scale to numbers",
            strategy=strategy.type,
            kind=anatomy.kind,
        )
    )


def _said(strategy: Strategy, name: str) -> object:
    """What an option of a strategy says; of one that is a strategy itself, its type."""
    option = getattr(strategy, name)
    return option.type if isinstance(option, Strategy) else option


def _options(fits: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a strategy that an entry asks for, and their values."""
    return {name: values for name, values in fits.items() if name not in _OF_THE_MODEL}


def _entries(strategy: Strategy) -> Sequence[Mapping[str, Any]]:
    return _defaults().get(strategy.type) or strategy.defaults


@dataclass(frozen=True)
class DefaultRow:
    """What `auto` becomes for one strategy, kind of model and size."""

    strategy: str
    fits: str
    """For which models and data, in words."""
    value: float
    source: str


def default_rows(part: type[Part], name: str) -> list[DefaultRow]:
    """What `auto` may become in a key of `training` or of a strategy; empty where nothing is said.

    The first row that fits is taken.
    """
    if not issubclass(part, (TrainingConfig, Strategy)):
        return []
    own = part.model_fields["type"].default if issubclass(part, Strategy) else None
    sources = _defaults()["sources"]
    return [
        DefaultRow(strategy, _in_words(entry["fits"]), float(value), sources[source])
        for strategy, entries in _defaults().items()
        if strategy != "sources" and own in (None, strategy)
        for entry in entries
        for value, source in [entry.get(name) or (None, None)]
        if value is not None
    ]


def _in_words(fits: dict[str, Any]) -> str:
    sizes = [
        f"up to {float(fits[f'{what}_up_to']):,.0f} {what}"
        for what in ("parameters", "examples")
        if f"{what}_up_to" in fits
    ]
    options = [f"{name} {' or '.join(values)}" for name, values in _options(fits).items()]
    return ", ".join([*options, *([fits["kind"]] if "kind" in fits else []), *sizes])


def resolve(
    config: RunConfig, problem: Problem, anatomy: Anatomy, examples: int, max_length: int
) -> tuple[RunConfig, list[Choice]]:
    """The config with numbers in place of every `auto`, and what was chosen.

    What is found by trying the loaded model stays as it is: `find`, a batch size of `auto`,
    precision and pooling.
    """
    training, strategy, choices = resolve_parts(config.training, config.strategy, anatomy, examples)
    metric = metric_of(config.training.metric_for_best_model, problem)
    changes = {
        "training": training.model_copy(update={"metric_for_best_model": metric}),
        "strategy": strategy,
        "task": config.task.model_copy(update={"max_length": max_length}),
    }
    return config.model_copy(update=changes), choices


def metric_of(asked: str, problem: Problem) -> str:
    """The selection metric: as configured, or with `auto` the task's own."""
    return problem.scorer.chosen(asked)


def resolve_parts(
    training: TrainingConfig, strategy: Strategy, anatomy: Anatomy, examples: int
) -> tuple[TrainingConfig, Strategy, list[Choice]]:
    """Training and strategy with their defaults, for so many training examples.

    Returns the finished parts and what was chosen.
    """
    names = ["learning_rate", "warmup_ratio", "weight_decay"]
    if training.max_steps is None:
        names.append("num_train_epochs")
    asked = [name for name in names if getattr(training, name) == "auto"]
    scale = ["head_learning_rate_scale"] if strategy.head_learning_rate_scale == "auto" else []
    defaults = defaults_for(strategy, anatomy, examples) if asked or scale else {}
    for_training, for_strategy = ([defaults[name] for name in some] for some in (asked, scale))
    own = strategy.chosen_for(examples).items()
    for_strategy += [Choice(name, value, why) for name, (value, why) in own]
    for_training = [for_optimizer(choice, training.optim) for choice in for_training]
    return _put(training, for_training), _put(strategy, for_strategy), for_training + for_strategy


def for_optimizer(choice: Choice, optim: str) -> Choice:
    """A default of AdamW's as it is for another optimizer."""
    facts = optimizer_facts(optim)
    multiples = {"learning_rate": facts.rate, "weight_decay": facts.decay} if facts else {}
    if (multiple := multiples.get(choice.name, 1.0)) == 1:
        return choice
    value = float(f"{choice.value * multiple:.6g}")
    return Choice(choice.name, value, f"{choice.source}; for {optim} {multiple:g} times AdamW's")


def _put(part: PartT, choices: list[Choice]) -> PartT:
    return part.model_copy(update={choice.name: choice.value for choice in choices})
