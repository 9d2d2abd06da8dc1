"""The precision probe of a run: the slice of its training examples that steps are timed on."""

from __future__ import annotations

from functools import partial

import numpy as np
from torch import nn

from welltuned.engines.device import Gain, gain_of
from welltuned.engines.precision_probe import bf16_gain
from welltuned.evaluation.predict import to_device
from welltuned.runs.phases import phase
from welltuned.tasks import Examples
from welltuned.training.observer import Observer
from welltuned.training.preparation.prepare import RunPlan

_OPERATIONS = 5e10
"""Floating-point operations of a step that a probe can wait for..."""
_TOKENS = (64, 512)
"""... and the fewest and most tokens it has: in fewer, casting weights would be all there is."""


@phase("probe")
def probe_precision(model: nn.Module, prepared: RunPlan, observer: Observer) -> Gain:
    """How much faster bf16 is, known from before or by steps over a few examples of the run.

    They leave nothing behind.
    """
    if prepared.config.training.optim == "lbfgs":
        return Gain(1.0, "each example is read once")
    examples, training = prepared.examples["train"], prepared.config.training.resolved()
    rows = probe_rows(examples, _tokens(prepared), training.per_device_train_batch_size)
    device = next(model.parameters()).device
    batch = to_device(prepared.problem.codec.collate(examples, rows, prepared.pad_id), device)

    tell = partial(observer.working, "trying precisions", total=1)
    tried = False

    def step() -> None:
        nonlocal tried
        if not tried:
            tell(0)
        tried = True
        prepared.problem.objective.loss(model, batch).backward()
        model.zero_grad(set_to_none=True)

    tokens = examples.lengths.sum() * (training.num_train_epochs or 1)
    steps = float(tokens / examples.lengths[rows].sum())
    name = gain_of(prepared.anatomy, prepared.config.model.quantization)
    found = bf16_gain(name, step, steps, device)
    if tried:
        tell(1)
    return found


def probe_rows(examples: Examples, tokens: int, most: int) -> list[int]:
    """Examples of about the median length, as many as that many tokens; at least one."""
    usual = float(np.median(examples.lengths))
    order = np.argsort(np.abs(examples.lengths - min(usual, tokens)), kind="stable")
    number = max(1, min(most, int(tokens // max(usual, 1))))
    return [int(row) for row in order[:number]]


def _tokens(prepared: RunPlan) -> int:
    fewest, most = _TOKENS
    return int(np.clip(_OPERATIONS / (6 * prepared.anatomy.parameters), fewest, most))
