"""What is known of the optimizers that have a name, without building any.

A name stands for a class of a well-kept library, for options that are usual for it, and for what
follows from it elsewhere: its learning rate beside AdamW's, what it keeps of each weight, which
package has it. To add one, write a line here and its name in `training.optim`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FLOAT = 4
"""Bytes of a number in full precision, in which optimizers keep theirs."""
_LEAST_QUANTISED = 4096
"""Numbers below which bitsandbytes keeps a weight's moments in full precision."""
_BLOCK = 256
"""Numbers that share one scale in its 8-bit moments."""

Shape = Sequence[int]


@dataclass(frozen=True)
class OptimizerFacts:
    """One optimizer."""

    path: str
    """The import path of its class."""
    source: str
    """Where it comes from."""
    kept: Callable[[Shape], float]
    """Bytes that it keeps of a weight of this shape."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of its class that are usual, in place of the class's own defaults."""
    rate: float = 1.0
    """Its usual learning rate, as a multiple of AdamW's."""
    decay: float = 1.0
    """Its weight decay, as a multiple of AdamW's: so that a step shrinks weights as much."""
    has_moments: bool = False
    """Whether `adam_beta1`, `adam_beta2` and `adam_epsilon` are its own as well."""
    needs_schedule: bool = True
    """Whether the learning rate has to come down in the end for it to come to rest."""
    package: str | None = None
    """The package to install for it, beside torch."""
    least_torch: tuple[int, int] = (2, 8)
    """The release of torch that has it first."""


def _numbers(shape: Shape) -> int:
    return math.prod(shape)


def _one_moment(shape: Shape) -> float:
    return FLOAT * _numbers(shape)


def _two_moments(shape: Shape) -> float:
    return 2 * FLOAT * _numbers(shape)


def _factored(shape: Shape) -> float:
    """A mean square for each row and each column of a matrix; of a vector for each number."""
    if len(shape) < 2:
        return _one_moment(shape)
    return FLOAT * (_numbers(shape) / shape[-1] + _numbers(shape) / shape[-2])


def _in_8_bits(shape: Shape) -> float:
    numbers = _numbers(shape)
    if numbers < _LEAST_QUANTISED:
        return _two_moments(shape)
    return 2 * (numbers + FLOAT * math.ceil(numbers / _BLOCK))


OPTIMIZERS: dict[str, OptimizerFacts] = {
    "adamw": OptimizerFacts(
        "torch.optim.AdamW",
        "Loshchilov & Hutter 2019, arXiv 1711.05101",
        _two_moments,
        has_moments=True,
    ),
    "adafactor": OptimizerFacts(
        "torch.optim.Adafactor",
        "Shazeer & Stern 2018, arXiv 1804.04235",
        _factored,
        # Steps are not scaled by the size of a weight, as with Trainer's `adafactor`: what starts
        # at zero, such as LoRA's B, would hardly move, and AdamW's learning rates would not do.
        options={"eps": (None, 1.0)},
    ),
    "sgd": OptimizerFacts(
        "torch.optim.SGD",
        "Sutskever et al. 2013, with momentum",
        _one_moment,
        options={"momentum": 0.9},
        rate=100.0,
        # Momentum adds ten steps up, of the decay as well.
        decay=0.001,
    ),
    "lion": OptimizerFacts(
        "pytorch_optimizer.Lion",
        "Chen et al. 2023, arXiv 2302.06675",
        _one_moment,
        rate=0.2,
        decay=5.0,
        package="pytorch-optimizer",
    ),
    "muon": OptimizerFacts(
        "torch.optim.Muon",
        "Jordan et al. 2024; the learning rate is AdamW's (Liu et al. 2025, arXiv 2502.16982)",
        _one_moment,
        options={"adjust_lr_fn": "match_rms_adamw"},
        has_moments=True,
        least_torch=(2, 9),
    ),
    "adamw_8bit": OptimizerFacts(
        "bitsandbytes.optim.AdamW8bit",
        "Dettmers et al. 2022, arXiv 2110.02861",
        _in_8_bits,
        has_moments=True,
        package="bitsandbytes",
    ),
    "schedule_free_adamw": OptimizerFacts(
        "pytorch_optimizer.ScheduleFreeAdamW",
        "Defazio et al. 2024, arXiv 2405.15682",
        _two_moments,
        has_moments=True,
        needs_schedule=False,
        package="pytorch-optimizer",
    ),
}
"""By name, as `training.optim` has it. The names are those of Trainer's where it has the same."""


def optimizer_facts(optim: str) -> OptimizerFacts | None:
    """What is known of an optimizer; None for one by import path.

    `auto` and `lbfgs` take AdamW's steps wherever they take steps.
    """
    return None if "." in optim else OPTIMIZERS.get(optim, OPTIMIZERS["adamw"])


def kept_bytes(optim: str, shape: Shape, in_blocks: bool) -> float:
    """Bytes that an optimizer keeps of a weight; of one by import path AdamW's are assumed.

    Muon is for the matrices of blocks; all else has AdamW's moments.
    """
    facts = optimizer_facts(optim) or OPTIMIZERS["adamw"]
    if facts is OPTIMIZERS["muon"] and not (in_blocks and len(shape) == 2):
        facts = OPTIMIZERS["adamw"]
    return facts.kept(shape)
