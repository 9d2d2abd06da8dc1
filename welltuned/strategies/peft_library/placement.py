"""Where a PEFT method goes in a model, and whether it can: tried on layers of the same shapes.

Linear layers of every block unless it is for other modules; and PEFT puts it into the layers of
one block that is made up for it, before any weight is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from welltuned.models.compat.transformers_api import Conv1D
from welltuned.models.silence import quiet

if TYPE_CHECKING:
    from peft import PeftConfig

    from welltuned.models.anatomy import Anatomy

_FOR_NORMS = ("ln_tuning",)
_TRANSPOSED = ("gpt2", "openai-gpt")
"""Families whose linear layers are `Conv1D`, with their weights transposed."""
_LARGEST = 10_000_000
"""Numbers of a block up to which it is made up with values; a larger one has shapes alone."""

REFUSALS = (ValueError, TypeError, AttributeError, NotImplementedError)
"""What PEFT raises for layers that a method cannot go into."""


def said_by(error: Exception) -> str:
    """What PEFT says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def usual_targets(method: str, anatomy: Anatomy) -> list[str]:
    """The modules that a method goes into, by their full names."""
    if method in _FOR_NORMS:
        inside = (norm for block in anatomy.blocks for norm in block.norms)
        return [*inside, *anatomy.final]
    return [linear for block in anatomy.blocks for linear in block.linears]


def usual_options(options: Sequence[str], anatomy: Anatomy) -> dict[str, bool | list[str]]:
    """Options that follow from the model and from where it runs, of those that a method has."""
    usual: dict[str, bool | list[str]] = {}
    if "fan_in_fan_out" in options:
        usual["fan_in_fan_out"] = anatomy.family in _TRANSPOSED
    if "progressbar" in options:
        usual["progressbar"] = False
    if "feedforward_modules" in options:
        # (IA)³ scales what goes into them, and not what comes out (arXiv 2205.05638).
        outputs = (block.feed_forward_output for block in anatomy.blocks)
        usual["feedforward_modules"] = [name for name in outputs if name is not None]
    return usual


def refused_by_peft(config: PeftConfig, anatomy: Anatomy) -> str | None:
    """Why PEFT cannot put a method into linear layers as this model has them; None where it can,
    and where it is meant for other modules."""
    from peft import get_peft_model

    block = anatomy.blocks[0]
    targets = getattr(config, "target_modules", None) or ()
    names = () if isinstance(targets, str) else targets
    if not any(_is_called(linear, name) for linear in block.linears for name in names):
        return None
    small = sum(reads * writes for reads, writes in block.shapes) <= _LARGEST
    state = torch.get_rng_state()
    try:
        with torch.device("cpu" if small else "meta"), quiet():
            layers = _layers(block.linears, block.shapes, anatomy.family in _TRANSPOSED)
            injected = get_peft_model(layers, config)
    except (*REFUSALS, RuntimeError) as error:
        # Without values a method may fail that reads them, which says nothing of the model.
        unsure = not small and isinstance(error, (AttributeError, RuntimeError))
        return None if unsure else said_by(error)
    finally:
        torch.set_rng_state(state)
    if not any(parameter.requires_grad for parameter in injected.parameters()):
        return "it puts nothing into them"
    return None


def _is_called(linear: str, name: str) -> bool:
    """Whether PEFT takes a name for this layer's."""
    return linear == name or linear.endswith(f".{name}")


def _layers(names: Sequence[str], shapes: Sequence[tuple[int, int]], transposed: bool) -> nn.Module:
    """Linear layers that lie where a model has them."""
    root = nn.Module()
    for name, (reads, writes) in zip(names, shapes, strict=True):
        *path, last = name.split(".")
        place = root
        for part in path:
            if not hasattr(place, part):
                place.add_module(part, nn.Module())
            place = getattr(place, part)
        made: nn.Module = Conv1D(writes, reads) if transposed else nn.Linear(reads, writes)
        place.add_module(last, made)
    return root
