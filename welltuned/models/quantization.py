"""Quantisation: the frozen linear layers of a base model's blocks in four or eight bits.

The weights are read as they are, and quantised layer by layer, on the device that will compute
with them. What else there is stays as it was read: embeddings, norms, poolers, heads, the output
layer of a language model. They are not left out by name; what is quantised is named by the anatomy.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from welltuned.errors import Fault
from welltuned.models.compat.transformers_api import Conv1D
from welltuned.schema.units import size_text

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from welltuned.models.anatomy import Anatomy
    from welltuned.models.config import ModelConfig

_PACKAGE = "bitsandbytes"
_DEVICES = ("cpu", "cuda", "xpu")
"""Where its layers compute."""
_MARKS = {"nf4": "is_loaded_in_4bit", "int8": "is_loaded_in_8bit"}
"""What PEFT asks of a model before it looks at its layers."""
_BLOCKS = {"nf4": 64, "int8": 1}
"""Weights that share a scale. Rows have to be whole blocks: others are restored wrongly by the
kernel for CPUs of bitsandbytes 0.50."""


def quantization_faults(model: ModelConfig, anatomy: Anatomy, device: str) -> Iterator[Fault]:
    """Yield why a base cannot be quantised as its config asks; no weight is loaded."""
    kind = model.quantization
    if kind is None:
        return
    if importlib.util.find_spec(_PACKAGE) is None:
        yield Fault(
            "model.quantization_package_missing",
            "model.quantization: {kind} needs {package}, which is not installed",
            None,
            "pip install 'welltuned[quantization]'; without it train with model.quantization=null, "
            "and load what was trained with wt.load(RUN, quantized=False)",
            kind=kind,
            package=_PACKAGE,
        )
    if device not in _DEVICES:
        yield Fault(
            "model.quantization_device_unsupported",
            "layers in {kind} do not compute on the device {device}",
            None,
            "use a CPU or a GPU of NVIDIA, AMD or Intel, or remove model.quantization",
            kind=kind,
            device=device,
        )
    if not any(block.linears for block in anatomy.blocks):
        yield Fault(
            "model.quantization_without_layers",
            "no linear layers were found in the blocks of '{family}', so nothing of it would be "
            "in {kind}",
            None,
            "remove model.quantization",
            kind=kind,
            family=anatomy.family,
        )
    if anatomy.hidden_size % _BLOCKS[kind]:
        yield Fault(
            "model.quantization_rows_do_not_fit",
            "{kind} takes rows of {block} weights or a multiple, and those of this model have "
            "{width}",
            None,
            "set model.quantization=int8, which takes any",
            kind=kind,
            block=_BLOCKS[kind],
            width=anatomy.hidden_size,
        )


def quantize_base(
    model: PreTrainedModel, config: ModelConfig, anatomy: Anatomy, device: torch.device
) -> None:
    """Quantise a base model in place as its config asks, and bring all of it to the device.

    Nothing is done where it asks for nothing.
    """
    if config.quantization is None:
        return
    with _silent():
        from welltuned.models.compat.bitsandbytes_api import LAYERS
    kind = LAYERS[config.quantization]
    for block in anatomy.blocks:
        for name in block.linears:
            layer: Any = model.get_submodule(name)
            weight = layer.weight.T.contiguous() if isinstance(layer, Conv1D) else layer.weight
            if weight.shape[1] % _BLOCKS[config.quantization] == 0:
                quantized = kind(weight, layer.bias, device)
                model.set_submodule(name, quantized.train(layer.training))
    setattr(model, _MARKS[config.quantization], True)
    model.to(device)  # type: ignore[arg-type]


@contextmanager
def _silent() -> Iterator[None]:
    """bitsandbytes logs which of its kernels it does without; none of them is used here."""
    log = logging.getLogger(_PACKAGE)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


# --- What there is of a quantised weight ----------------------------------------


def scales_of(weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What belongs to a quantised weight besides its bits; nothing to any other."""
    if (largest_O := getattr(weight, "SCB", None)) is not None:
        return (largest_O,)
    state: Any = getattr(weight, "quant_state", None)
    if state is None:
        return ()
    return state.absmax, state.state2.absmax, state.offset


def weight_count(weight: torch.Tensor) -> int:
    """How many numbers a weight stands for; in four bits it is an array of half as many bytes."""
    state: Any = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else int(state.shape.numel())


def libraries_of(model: nn.Module) -> tuple[str, ...]:
    """What a model with quantised weights computes with besides."""
    return (_PACKAGE,) if any(map(scales_of, model.parameters())) else ()


def held_tensors(model: nn.Module) -> list[torch.Tensor]:
    """Everything that a model holds in memory: weights with their scales, and buffers."""
    weights = list(model.parameters())
    scales = [scale for weight in weights for scale in scales_of(weight)]
    return [*weights, *scales, *model.buffers()]


@dataclass(frozen=True)
class QuantizedPart:
    """The quantised weights of a model."""

    layers: int
    weights: int
    """How many numbers they stand for."""
    bytes: int
    """What they take, scales included."""

    @classmethod
    def of(cls, model: nn.Module) -> QuantizedPart:
        found = [weight for weight in model.parameters() if scales_of(weight)]
        held = [part for weight in found for part in (weight, *scales_of(weight))]
        counts = sum(map(weight_count, found))
        return cls(len(found), counts, sum(part.nbytes for part in held))

    def told(self, model: ModelConfig, anatomy: Anatomy) -> str:
        """How much smaller it is, in a line."""
        before = self.weights * getattr(torch, model.dtype).itemsize
        linears = sum(len(block.linears) for block in anatomy.blocks)
        return (
            f"{model.quantization}: {self.layers:,} of {linears:,} linear layers of the blocks are "
            f"quantised; their {self.weights:,} weights take {size_text(self.bytes)} in place of "
            f"{size_text(before)} in {model.dtype}"
        )
