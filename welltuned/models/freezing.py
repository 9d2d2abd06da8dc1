"""Frozen weights: eval mode of their modules, weight hashes, and the table of what trains."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from welltuned.models.checksums import tensor_bytes
from welltuned.models.quantization import scales_of, weight_count
from welltuned.models.tensor_parts import own_part

if TYPE_CHECKING:
    from welltuned.models.anatomy import Anatomy


def set_training_modes(model: nn.Module) -> None:
    """`model.train()`, except that frozen modules stay in eval mode.

    A module trains when a weight in or below it does; a module without weights
    (dropout, activation) goes with its parent. So the dropout of a frozen block
    is off, and what lies below the lowest trainable weight computes the same
    thing in every step. (`module.train()` alone would switch it all on.)
    """

    def visit(module: nn.Module, parent_trains: bool) -> None:
        parameters = list(module.parameters())
        trains = any(p.requires_grad for p in parameters) if parameters else parent_trains
        module.training = trains or _is_recomputed(module)
        for child in module.children():
            visit(child, trains)

    visit(model, True)


def _is_recomputed(module: nn.Module) -> bool:
    """Whether a frozen block has to say that it trains, for transformers to checkpoint it.

    It saves memory where gradients flow through it, to a prompt below. A block with
    a dropout rate of its own is left alone: the dropout would be switched on.
    """
    return getattr(module, "gradient_checkpointing", False) and not any(
        "dropout" in name and isinstance(value, float) and value > 0
        for name, value in vars(module).items()
    )


@contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Context with everything in eval mode; each module's own mode is restored.

    A model that only answers is in eval mode already, and setting that on a hundred modules would
    take as long as a tenth of one short text.
    """
    in_training = [module for module in model.modules() if module.training]
    if in_training:
        model.eval()
    try:
        yield
    finally:
        for module in in_training:
            module.training = True


def hash_weights(named: Iterable[tuple[str, nn.Parameter]]) -> dict[str, str]:
    """A hash of each weight's bytes, by name; of a quantised one, those of its scales included,
    and of a sharded one those of this process's part."""
    return {name: _digest(parameter) for name, parameter in named}


def _digest(weight: nn.Parameter) -> str:
    digest = hashlib.blake2b(tensor_bytes(own_part(weight.data)), digest_size=16)
    for scale in scales_of(weight):
        digest.update(tensor_bytes(scale))
    return digest.hexdigest()


@dataclass(frozen=True)
class TableRow:
    """One region of the model: how many of its weights are trainable at some time."""

    region: str
    parameters: int
    trainable: int

    @property
    def share(self) -> float:
        return self.trainable / self.parameters if self.parameters else 0.0


def trainable_table(
    model: nn.Module, anatomy: Anatomy, ever_trainable: Iterable[nn.Parameter]
) -> list[TableRow]:
    """Weights per region, from the embeddings up to the head; each weight is counted once."""
    training = {id(parameter) for parameter in ever_trainable}
    totals = {depth: [0, 0] for depth in range(anatomy.num_blocks + 1, -1, -1)}
    for name, parameter in model.named_parameters():
        if ".original_module." in name:
            continue  # PEFT's spare copy of the head; neither used nor saved
        row = totals[anatomy.depth(name)]
        row[0] += weight_count(parameter)
        row[1] += weight_count(parameter) if id(parameter) in training else 0
    return [
        TableRow(anatomy.region(depth), total, trainable)
        for depth, (total, trainable) in totals.items()
        if total
    ]
