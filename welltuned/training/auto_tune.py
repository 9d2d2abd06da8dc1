"""Automatic tuning on the loaded model: micro-batch size and learning rate.

Both are tried on the loss of the task alone. Penalties against forgetting are zero at the start,
where no weight has moved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from welltuned.engines import distributed
from welltuned.engines.batch_finder import BatchSearch, find_batch_size
from welltuned.engines.config import TrainingConfig
from welltuned.engines.lr_range import STEPS, RangeTest, run_range_test
from welltuned.engines.optimizers.facts import optimizer_facts
from welltuned.runs.results_schema import AutoTuned
from welltuned.schema.messages import render_message
from welltuned.training.observer import Observer
from welltuned.training.preparation.defaults import Choice
from welltuned.training.session.session import LoadedModel, Session

Loaded = TypeVar("Loaded", bound=LoadedModel)


def auto_tune(loaded: LoadedModel, observer: Observer) -> Session:
    """The session with numbers in place of a batch size of `auto` and a learning rate of `find`.

    The model is left as it was.
    """
    found: AutoTuned = {}
    if loaded.config.training.optim == "lbfgs":
        return Session(**vars(loaded), found=found)  # there are no steps to tune
    if loaded.config.training.per_device_train_batch_size == "auto":
        search, loaded = _find_batch_size(loaded, observer)
        found["batch_size"] = search.as_dict()
    if loaded.config.training.learning_rate == "find":
        test, loaded = _find_learning_rate(loaded, observer)
        found["learning_rate"] = test.as_dict()
    return Session(**vars(loaded), found=found)


def try_learning_rates(loaded: LoadedModel, observer: Observer, steps: int = STEPS) -> RangeTest:
    """A range test of the model as it is now, over the rates plausible for its strategy and its
    optimizer."""
    low, high = loaded.config.strategy.plausible_rates
    facts = optimizer_facts(loaded.config.training.optim)
    multiple = facts.rate if facts else 1.0
    return run_range_test(
        loaded.job(),
        low * multiple,
        high * multiple,
        steps,
        lambda done, total: observer.working("trying learning rates", done, total),
    )


def _find_batch_size(loaded: LoadedModel, observer: Observer) -> tuple[BatchSearch, LoadedModel]:
    training = loaded.config.training
    search = distributed.from_main(
        lambda: find_batch_size(
            loaded.job(),
            lambda done, total: observer.working("trying batch sizes", done, total),
        )
    )
    name = "per_device_train_batch_size"
    choice = Choice(name, search.size, search.reason)
    return search, with_choice(loaded, observer, choice, training.split_into(search.size))


def _find_learning_rate(loaded: LoadedModel, observer: Observer) -> tuple[RangeTest, LoadedModel]:
    test = try_learning_rates(loaded, observer)
    choice = Choice("learning_rate", test.suggestion, f"range test: {render_message(test.reason)}")
    changed = loaded.config.training.model_copy(update={choice.name: choice.value})
    return test, with_choice(loaded, observer, choice, changed)


def with_choice(
    loaded: Loaded, observer: Observer, choice: Choice, training: TrainingConfig
) -> Loaded:
    """The same with a hyper-parameter that was found, of which the user is told."""
    observer.noted(str(choice))
    prepared = loaded.prepared
    config = prepared.config.model_copy(update={"training": training})
    choices = [*prepared.choices, choice]
    return replace(loaded, prepared=replace(prepared, config=config, choices=choices))
