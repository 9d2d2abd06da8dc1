"""An optimizer built from its name or import path, with the groups and options that it is given.

What is used of it afterwards is torch's: `param_groups` with `lr`, `step`, `state`. Two things
are seen to here, whichever it is. Groups without any gradient take no step: what an optimizer
counts in them stays as it was, so that blocks that are unfrozen later begin afresh, and a step
that is not taken leaves no trace. And one with `train` and `eval`, such as a schedule-free one, is
in training from the start (`averaged.py`).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import AdamW, Optimizer

from welltuned.engines.optimizers.facts import OPTIMIZERS, OptimizerFacts, optimizer_facts
from welltuned.engines.optimizers.muon import Groups, MuonBesideAdamW
from welltuned.errors import Fault, InputError
from welltuned.schema.import_path import load_callable

if TYPE_CHECKING:
    from welltuned.engines.config import TrainingConfig

GIVEN = ("params", "lr", "weight_decay")
"""Arguments that come from the groups."""
MOMENTS = {"betas": ("adam_beta1", "adam_beta2"), "eps": ("adam_epsilon",)}
"""Arguments that AdamW and its kin have from keys of `training`."""


def optimizer_class(optim: str) -> Callable[..., Optimizer]:
    """The class that a name or an import path stands for. Raises `InputError`."""
    facts = optimizer_facts(optim)
    if facts is None:
        return load_callable(optim, "optimizer")
    module, _, name = facts.path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _missing(optim, facts) from error


def _missing(optim: str, facts: OptimizerFacts) -> InputError:
    if facts.package is None:
        return InputError(
            Fault(
                "training.optimizer_needs_torch",
                "'training.optim: {optim}' needs torch {least} or later; this is {version}",
                None,
                'pip install --upgrade "torch>={least}", or choose another optimizer',
                optim=optim,
                least=".".join(map(str, facts.least_torch)),
                version=torch.__version__,
            )
        )
    return InputError(
        Fault(
            "training.optimizer_missing",
            "'training.optim: {optim}' is an optimizer of the package {package}, which is not "
            "installed or cannot be imported",
            None,
            'pip install "welltuned[optimizers]"',
            optim=optim,
            package=facts.package,
        )
    )


def named_arguments(made: Callable[..., Optimizer]) -> dict[str, inspect.Parameter]:
    """The arguments of an optimizer's class that have a name, the first one left out."""
    _first, *others = inspect.signature(made).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name: one for one in others if one.kind in kinds}


def build(groups: Groups, training: TrainingConfig) -> Optimizer:
    """The optimizer that `training.optim` names, over groups as torch has them.

    Each group has its `lr` and `weight_decay`, and says in `in_blocks` whether it lies in the
    model's blocks. Raises `InputError` where it cannot be had.
    """
    made = optimizer_class(training.optim)
    make = partial(made, **_options(training))
    if optimizer_facts(training.optim) is OPTIMIZERS["muon"]:
        beside = partial(AdamW, **_moments(training))
        optimizer: Optimizer = MuonBesideAdamW(groups, make, beside)
    else:
        if "weight_decay" not in named_arguments(made):
            groups = [{k: v for k, v in g.items() if k != "weight_decay"} for g in groups]
        optimizer = make(groups)
    _skip_groups_without_gradients(optimizer)
    if callable(start := getattr(optimizer, "train", None)):
        start()
    return optimizer


def _options(training: TrainingConfig) -> dict[str, Any]:
    """Arguments of the class: those usual for it, AdamW's own keys where it has them, and those
    that were asked for."""
    facts = optimizer_facts(training.optim)
    usual: Mapping[str, Any] = facts.options if facts else {}
    moments = _moments(training) if takes_moments(training.optim) else {}
    return {**usual, **moments, **training.optim_args}


def takes_moments(optim: str) -> bool:
    """Whether the class takes AdamW's keys itself, and not one that stands beside it."""
    facts = optimizer_facts(optim)
    return facts is not None and facts.has_moments and facts is not OPTIMIZERS["muon"]


def _moments(training: TrainingConfig) -> dict[str, Any]:
    return {
        "betas": (training.adam_beta1, training.adam_beta2),
        "eps": training.adam_epsilon,
    }


def _skip_groups_without_gradients(optimizer: Optimizer) -> None:
    kept: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def before(*_: object) -> None:
        kept[:] = [
            (group, dict(group))
            for group in optimizer.param_groups
            if all(parameter.grad is None for parameter in group["params"])
        ]

    def after(*_: object) -> None:
        for group, was in kept:
            group.clear()
            group.update(was)

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(after)
