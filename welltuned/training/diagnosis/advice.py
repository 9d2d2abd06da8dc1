"""Advice after a diagnosis: what to try next, as a command that runs as it stands."""

from __future__ import annotations

from typing import Any

from welltuned.schema.messages import Message, message
from welltuned.strategies import STRATEGIES, default_strategy, frugal_strategy
from welltuned.training.diagnosis.evidence import Evidence
from welltuned.training.diagnosis.finding import Fault

UNBALANCED = 0.7
"""The share of one class beyond which its weight is to blame when only that class is named."""


def suggest_next(
    fault: Fault, evidence: Evidence, config: dict[str, Any], file: str, folder: str
) -> tuple[Message, str]:
    """(what to try, the command that tries it).

    `file` is the run's resolved config, so that what hangs together is changed together.
    """
    words, changes = _change(fault, evidence, config)
    return words, " ".join(["welltuned train", file, *changes, f"output_dir={folder}"])


def _change(
    fault: Fault, evidence: Evidence, config: dict[str, Any]
) -> tuple[Message, tuple[str, ...]]:
    training, strategy = config["training"], STRATEGIES.find(config["strategy"]["type"])
    everything, few = default_strategy(), frugal_strategy()
    if fault in ("diverged", "spiked"):
        rate = training["learning_rate"] / (10 if fault == "diverged" else 2)
        return message("diagnosis.try_lower_rate", "a lower learning rate"), (
            f"training.learning_rate={rate:.2g}",
        )
    if fault == "collapsed" and evidence.true_share > UNBALANCED:
        return message("diagnosis.try_class_weights", "class weights, which balance the classes"), (
            "task.class_weights=auto",
        )
    if fault == "overfitted" and not strategy.trains_few:
        # Rate and epochs of the config are those of the other strategy.
        return message("diagnosis.try_fewer_weights", "fewer trainable weights"), _another(
            few.type, training
        )
    if fault == "overfitted":
        return message("diagnosis.try_half", "half the training"), (_length(training, 0.5),)
    if fault == "cut short":
        return message("diagnosis.try_double", "twice the training"), (_length(training, 2),)
    if fault == "collapsed" and training.get("optim") == "lbfgs":
        return message("diagnosis.try_more_weights", "more trainable weights"), _another(
            everything.type, training
        )
    if fault in ("underfitted", "plateaued") and strategy is not type(everything):
        return message("diagnosis.try_more_weights", "more trainable weights"), _another(
            everything.type, training
        )
    if fault == "endless":
        return message(
            "diagnosis.try_closing_template",
            "again, once the tokenizer has a chat_template that closes each answer with its "
            "eos_token",
        ), ()
    return (
        message("diagnosis.try_range_test", "another learning rate, found by a range test"),
        ("training.learning_rate=find",),
    )


def _another(strategy: str, training: dict[str, Any]) -> tuple[str, ...]:
    """Another strategy, with what is usual for it."""
    length = () if training["max_steps"] else ("training.num_train_epochs=auto",)
    solved = ("training.optim=auto",) if training.get("optim") == "lbfgs" else ()
    return (f"strategy={strategy}", "training.learning_rate=auto", *length, *solved)


def _length(training: dict[str, Any], times: float) -> str:
    if training["max_steps"] is not None:
        return f"training.max_steps={max(1, round(times * training['max_steps']))}"
    return f"training.num_train_epochs={times * training['num_train_epochs']:g}"
