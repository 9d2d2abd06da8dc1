"""What can be refused of an optimizer before any weight is loaded.

Its options are held against its class, and it takes a step with two small weights: so what it
refuses itself, and a state that no snapshot could hold, show in the first second.
"""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import nn

from welltuned.engines.config import ResolvedTraining, TrainingConfig
from welltuned.engines.optimizer import build_optimizer
from welltuned.engines.optimizers.build import (
    GIVEN,
    MOMENTS,
    named_arguments,
    optimizer_class,
    takes_moments,
)
from welltuned.engines.optimizers.facts import optimizer_facts
from welltuned.engines.snapshot import optimizer_numbers
from welltuned.errors import Faults, InputError, WelltunedError
from welltuned.strategies import ParameterGroup

_WIDE = 64
"""So many rows and columns that 8-bit moments are in 8 bits."""


def check_optimizer(training: TrainingConfig, faults: Faults) -> None:
    """Record why the optimizer of a config cannot be had as it is asked for."""
    if training.optim == "auto":
        return
    before = len(faults)
    try:
        made = optimizer_class(training.optim)
        known = named_arguments(made)
    except InputError as error:
        faults.extend(error.faults)
        return
    except (ValueError, TypeError) as error:
        _unusable(training, error, faults)
        return
    _check_keys(training, known, faults)
    _check_options(training, known, faults)
    if len(faults) == before:
        _try(training, faults)


def _check_keys(training: TrainingConfig, known: dict[str, Any], faults: Faults) -> None:
    """Keys of `training` that the optimizer has no use for, or no default of."""
    facts, fields = optimizer_facts(training.optim), TrainingConfig.model_fields
    unused = [
        key
        for keys in MOMENTS.values()
        for key in keys
        if getattr(training, key) != fields[key].default
        and not (facts is not None and facts.has_moments)
    ]
    if unused:
        faults.add(
            "training.moments_unused",
            "'training.{key}' is AdamW's, and 'training.optim: {optim}' has no use for it",
            None,
            "remove it, and give the optimizer's own options in training.optim_args",
            key=unused[0],
            optim=training.optim,
        )
    if facts is None and training.learning_rate == "auto":
        faults.add(
            "training.optimizer_without_rate",
            "no learning rate is known to be usual for '{optim}'",
            None,
            "set training.learning_rate to a number, or to find",
            optim=training.optim,
        )
    if "weight_decay" not in known and training.weight_decay != 0:
        faults.add(
            "training.optimizer_without_decay",
            "'{optim}' has no weight decay, and 'training.weight_decay' is {decay}",
            None,
            "set training.weight_decay to 0",
            optim=training.optim,
            decay=training.weight_decay,
        )


def _check_options(training: TrainingConfig, known: dict[str, Any], faults: Faults) -> None:
    """Options that the class does not have, or that stand elsewhere."""
    elsewhere = {"lr": "training.learning_rate", "weight_decay": "training.weight_decay"}
    if takes_moments(training.optim):
        elsewhere |= {name: f"training.{keys[0]}" for name, keys in MOMENTS.items()}
    free = [name for name in known if name not in elsewhere and name not in GIVEN]
    for name in training.optim_args:
        if name in elsewhere:
            faults.add(
                "training.optimizer_option_elsewhere",
                "'{name}' in 'training.optim_args' has a key of its own",
                None,
                "set {key} instead",
                name=name,
                key=elsewhere[name],
            )
        elif name not in free:
            close = difflib.get_close_matches(name, free, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            faults.add(
                "training.optimizer_option_unknown",
                "'training.optim: {optim}' has no option '{name}'",
                None,
                "{hint}(options: {known})",
                optim=training.optim,
                name=name,
                hint=hint,
                known=", ".join(free),
            )


def _try(training: TrainingConfig, faults: Faults) -> None:
    """Take a step with a matrix and a vector, and look at what is kept of them."""
    shapes = {"matrix": (_WIDE, _WIDE), "vector": (_WIDE,)}
    weights = {name: nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()}
    groups = [
        ParameterGroup(name, [weight], in_blocks=True, decays=name == "matrix")
        for name, weight in weights.items()
    ]
    keys = (
        "optim",
        "optim_args",
        "lr_scheduler_type",
        *(k for one in MOMENTS.values() for k in one),
    )
    resolved = ResolvedTraining(
        learning_rate=1e-3, metric_for_best_model="loss", **{k: getattr(training, k) for k in keys}
    )
    random = torch.get_rng_state()
    try:
        optimizer = build_optimizer(groups, resolved)
        for weight in weights.values():
            weight.grad = torch.full_like(weight, 0.5)
        optimizer.step()
        optimizer_numbers(optimizer, weights)
    except WelltunedError as error:
        faults.extend(error.faults)
    except Exception as error:  # whatever a class from elsewhere says of options it cannot have
        _unusable(training, error, faults)
    finally:
        torch.set_rng_state(random)


def _unusable(training: TrainingConfig, error: Exception, faults: Faults) -> None:
    faults.add(
        "training.optimizer_unusable",
        "'training.optim: {optim}' cannot be used: {reason}",
        None,
        "check training.optim_args; a class of your own is built and stepped as torch.optim's are",
        optim=training.optim,
        reason=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
    )
