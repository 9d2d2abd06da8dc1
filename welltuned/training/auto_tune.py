"""Automatic tuning on the loaded model: micro-batch size and learning rate.

Both are tried on the loss of the task alone. What protects from forgetting adds nothing at the
start, where every weight still is what it was.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from welltuned.engines import distributed
from welltuned.engines.batch_finder import BatchSearch, find_batch_size
from welltuned.engines.lr_range import STEPS, RangeTest, run_range_test
from welltuned.runs.results_schema import AutoTuned
from welltuned.schema.messages import render_message
from welltuned.training.defaults import Choice
from welltuned.training.observer import Observer
from welltuned.training.session import Session


def auto_tune(session: Session, observer: Observer) -> AutoTuned:
    """Put numbers in place of `auto` and `find` in the tuning's config.

    Returns what was tried, for results.json; empty when nothing was to be found.
    """
    found: AutoTuned = {}
    if session.config.training.per_device_train_batch_size == "auto":
        found["batch_size"] = _settle_batch_size(session, observer).as_dict()
    if session.config.training.learning_rate == "find":
        found["learning_rate"] = _settle_learning_rate(session, observer).as_dict()
    return found


def try_learning_rates(session: Session, observer: Observer, steps: int = STEPS) -> RangeTest:
    """A range test of the model as it is now, over the rates plausible for its strategy."""
    low, high = session.config.strategy.plausible_rates
    return run_range_test(
        session.job(),
        low,
        high,
        steps,
        lambda done, total: observer.working("trying learning rates", done, total),
    )


def _settle_batch_size(session: Session, observer: Observer) -> BatchSearch:
    training = session.config.training
    search = distributed.from_main(
        lambda: find_batch_size(
            session.job(),
            lambda done, total: observer.working("trying batch sizes", done, total),
        )
    )
    name = "per_device_train_batch_size"
    _choose(
        session,
        observer,
        Choice(name, search.size, search.reason),
        training.split_into(search.size).model_dump(include={name, "gradient_accumulation_steps"}),
    )
    return search


def _settle_learning_rate(session: Session, observer: Observer) -> RangeTest:
    test = try_learning_rates(session, observer)
    choice = Choice("learning_rate", test.suggestion, f"range test: {render_message(test.reason)}")
    _choose(session, observer, choice, {choice.name: choice.value})
    return test


def _choose(session: Session, observer: Observer, choice: Choice, changes: dict[str, Any]) -> None:
    prepared = session.prepared
    training = prepared.config.training.model_copy(update={**changes, "global_batch_size": None})
    session.prepared = replace(
        prepared,
        config=prepared.config.model_copy(update={"training": training}),
        choices=[*prepared.choices, choice],
    )
    observer.noted(str(choice))
