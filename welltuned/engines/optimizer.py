"""Optimizer and learning-rate schedule, shared by both engines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from welltuned.engines.config import ResolvedTraining
from welltuned.engines.optimizers.build import build
from welltuned.engines.optimizers.facts import OPTIMIZERS, optimizer_facts
from welltuned.engines.optimizers.muon import Groups
from welltuned.models.tensor_parts import put_together
from welltuned.strategies import ParameterGroup


def build_optimizer(groups: Sequence[ParameterGroup], training: ResolvedTraining) -> Optimizer:
    """The optimizer that `training.optim` names over all groups; frozen ones are included.

    It skips what has no gradient. Raises `InputError` where it cannot be had.
    """
    settings = [
        {
            "params": group.parameters,
            "lr": training.learning_rate * group.learning_rate_scale,
            "weight_decay": training.weight_decay if group.decays else 0.0,
            "name": group.name,
        }
        for group in groups
    ]
    if optimizer_facts(training.optim) is OPTIMIZERS["adamw"]:
        return _adamw(settings, training)
    places = ({"in_blocks": group.in_blocks} for group in groups)
    return build([{**one, **place} for one, place in zip(settings, places, strict=True)], training)


def _adamw(settings: Groups, training: ResolvedTraining) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101).

    The fused kernel reads and writes each weight once. On two CPU cores the
    unfused one took three times as long.
    """
    fused = all(p.device.type in ("cpu", "cuda") for group in settings for p in group["params"])
    betas = training.adam_beta1, training.adam_beta2
    options = {"fused": fused, **training.optim_args}
    return AdamW(settings, betas=betas, eps=training.adam_epsilon, **options)


def learning_rate_factor(step: int, total: int, training: ResolvedTraining) -> float:
    """The learning rate before step `step` (from 0) as a share of its peak.

    A pure function of progress.
    """
    warmup = (
        0 if training.lr_scheduler_type == "constant" else math.ceil(training.warmup_ratio * total)
    )
    if step < warmup:
        return (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, total - warmup)
    if training.lr_scheduler_type == "linear":
        return max(0.0, 1.0 - progress)
    if training.lr_scheduler_type == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return 1.0


def learning_rate_at(step: int, total: int, training: ResolvedTraining) -> float:
    """The learning rate of step `step` (from 1), as it is told; a group's own multiple aside."""
    return training.learning_rate * learning_rate_factor(step - 1, total, training)


def build_schedule(
    optimizer: Optimizer, total: int, training: ResolvedTraining, taken: int = 0
) -> LambdaLR:
    """The schedule as torch applies it, `taken` steps of it over; one factor for all groups."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    return LambdaLR(optimizer, lambda step: learning_rate_factor(step, total, training), taken - 1)


def clip_gradients(groups: Sequence[ParameterGroup], max_norm: float) -> float:
    """Scale all gradients so that their joint norm is at most `max_norm` (0: leave them).

    Returns the norm before.
    """
    gradients = [
        parameter
        for group in groups
        for parameter in group.parameters
        if parameter.grad is not None
    ]
    norm = torch.nn.utils.clip_grad_norm_(gradients, max_norm if max_norm > 0 else math.inf)
    return float(put_together(norm))
