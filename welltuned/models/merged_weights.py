"""Adapters merged into the weights that they add to, while a model only answers.

Beside each linear layer an unmerged LoRA needs two more products and a sum. For one token at a
time these take as long as the layer itself.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from welltuned.models.compat.peft_api import BaseTunerLayer
from welltuned.runs import process_memory


@contextmanager
def merged_into_weights(model: nn.Module) -> Iterator[None]:
    """Context in which the adapters of a model in eval mode are part of its weights.

    What the model computes is the same up to the rounding of float32. Afterwards every weight is
    what it was, bit for bit: adapters are merged into a copy. Meanwhile the model is this
    thread's alone.

    Nothing is merged, and nothing changes, where there is no memory for the copy; where adapters
    are switched off; where the weights are in half precision, which would round away small
    updates; and where a weight is shared with a layer that has no adapter, such as an output
    layer with the embeddings.
    """
    if not can_be_merged(model):
        yield
        return
    layers = _layers(model)
    weights = _base_weights(layers)
    kept = [(weight, weight.data) for weight in weights]
    try:
        for weight, data in kept:
            weight.data = data.clone()
        for layer in layers:
            layer.merge()
        yield
    finally:
        with warnings.catch_warnings():  # of rounding, which to put the weights back undoes
            warnings.simplefilter("ignore", UserWarning)
            for layer in layers:
                if layer.merged:
                    layer.unmerge()
        for weight, data in kept:
            weight.data = data


def _layers(model: nn.Module) -> list[BaseTunerLayer]:
    return [module for module in model.modules() if isinstance(module, BaseTunerLayer)]


def _base_weights(layers: Sequence[BaseTunerLayer]) -> list[nn.Parameter]:
    """The weights of the layers that have adapters, each once."""
    found = (w for layer in layers for w in layer.get_base_layer().parameters(recurse=False))
    return list({id(weight): weight for weight in found}.values())


def can_be_merged(model: nn.Module) -> bool:
    """Whether the weights of a model can hold what its adapters add, and there is memory for it."""
    layers = _layers(model)
    weights = _base_weights(layers)
    if not weights or any(layer.disable_adapters or layer.merged for layer in layers):
        return False
    holders = Counter(id(w) for module in model.modules() for w in module.parameters(recurse=False))
    if any(weight.dtype != torch.float32 or holders[id(weight)] > 1 for weight in weights):
        return False
    left = process_memory.left_on(weights[0].device.type)
    return left is None or 2 * sum(weight.nbytes for weight in weights) < left
