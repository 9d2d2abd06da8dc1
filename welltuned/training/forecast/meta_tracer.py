"""Meta tracer: every operation and allocation of a training step, without computing it.

A model without weights (on torch's `meta` device) is run on a real batch. What depends
on no weight (masks, positions, which tokens have a label) is computed for real; all
else only has a shape. So the operations, and the tensors that wait for the backward
pass, are those of the real step for any family, task and strategy, with no formula
for any of them.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from welltuned.models.checkpoint_context import recomputed_within
from welltuned.models.compat.torch_api import (
    READ_VALUE,
    TorchDispatchMode,
    storage_id,
    tree_leaves,
    tree_map,
)
from welltuned.models.quantization import held_tensors
from welltuned.training.forecast.meta_functions import AsOnDevice
from welltuned.training.forecast.operations import Operation


@dataclass
class Trace:
    """The trace of a step."""

    operations: Counter[Operation] = field(default_factory=Counter)
    flops: float = 0.0
    live: int = 0
    """Bytes of tensors that exist now."""
    peak: int = 0
    """The most bytes that existed at once."""
    at_peak: Counter[str] = field(default_factory=Counter)
    """What those were, by the place in the model that made them."""


_MAKERS = {torch.ops.aten.zeros.default, torch.ops.aten.eye.default}


class MetaTracer(TorchDispatchMode):
    """While active, operations that depend on a `meta` tensor are noted and not computed."""

    def __init__(self) -> None:
        super().__init__()
        self.trace = Trace()
        self.place = ""
        """Where in the model execution is now."""
        self._known: set[int] = set()
        self._live: Counter[str] = Counter()

    def hold(self, tensors: Iterable[torch.Tensor], place: str) -> None:
        """Count tensors that are there from the start."""
        self.place = place
        for tensor in tensors:
            self._note(tensor)
        self.place = ""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if not any(tensor.is_meta for tensor in given) and not _makes_numbers(func, kwargs):
            return self._compute(func, args, kwargs)
        if func is READ_VALUE:
            return True  # a question about values, such as whether two ways agree: they do
        if func is torch.ops.aten.index.Tensor:
            args = (args[0], _where(args[1]))
        if not all(tensor.is_meta for tensor in given):
            args, kwargs = tree_map(_without_values, (args, kwargs))
        if "device" in kwargs:  # what was imagined has no values to bring anywhere else
            kwargs = {**kwargs, "device": torch.device("meta")}
        result = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        operation = Operation.of(func, args, kwargs, result, given, outputs)
        self.trace.flops += operation.flops
        self.trace.operations[operation] += 1
        for tensor in outputs:
            self._note(tensor)
        return result

    def _compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """For real, on the CPU: no argument is on `meta`."""
        if str(kwargs.get("device")) == "meta":
            kwargs = {**kwargs, "device": torch.device("cpu")}
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf)
        return result

    def _note(self, tensor: torch.Tensor) -> None:
        """Count a tensor's memory, once, for as long as it lives."""
        storage = tensor.untyped_storage()
        key, size = storage_id(storage), storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        trace, place = self.trace, self.place
        trace.live += size
        self._live[place] += size
        if trace.live > trace.peak:
            trace.peak, trace.at_peak = trace.live, self._live.copy()
        weakref.finalize(storage, self._forget, key, size, place)

    def _forget(self, key: int, size: int, place: str) -> None:
        self._known.discard(key)
        self.trace.live -= size
        self._live[place] -= size


def _makes_numbers(func: Any, kwargs: dict[str, Any]) -> bool:
    """Whether it makes numbers beside imagined ones, which are then written into them. Of flags and
    places, such as those of a mask, the values count."""
    dtype = kwargs.get("dtype")
    numbers = dtype is not None and dtype.is_floating_point
    return func in _MAKERS and numbers and str(kwargs.get("device")) == "meta"


def _where(indices: list[torch.Tensor | None]) -> list[torch.Tensor | None]:
    """Flags as the places they name, since how many those are is a question about values."""
    places: list[torch.Tensor | None] = []
    for index in indices:
        flags = index is not None and index.dtype == torch.bool and not index.is_meta
        places += list(index.nonzero(as_tuple=True)) if flags else [index]  # type: ignore[union-attr]
    return places


def _without_values(leaf: Any) -> Any:
    if isinstance(leaf, torch.Tensor) and not leaf.is_meta:
        return leaf.to("meta")
    return leaf


@contextmanager
def imagining(
    model: nn.Module | None = None,
    place_of: Callable[[str], str] = lambda name: "",
    device: str = "cpu",
) -> Iterator[Trace]:
    """Everything inside is traced; the trace can be read while it grows.

    The model's weights count as there from the start, under `WEIGHTS`. What a module
    makes counts for the place that `place_of` gives its name; "" means that of the module
    around it. Inside `torch.autocast` for `device`, numbers have the sizes it gives them.
    """
    imagination = MetaTracer()
    hooks: list[Any] = []
    if model is not None:
        imagination.hold(held_tensors(model), WEIGHTS)
        hooks = [
            hook
            for name, module in model.named_modules()
            if (place := place_of(name))
            for hook in _watch(imagination, module, place)
        ]
    try:
        as_on_device = partial(AsOnDevice, device)
        with imagination, as_on_device(), recomputed_within(as_on_device):
            yield imagination.trace
    finally:
        for hook in hooks:
            hook.remove()


WEIGHTS = "weights"


def _watch(imagination: MetaTracer, module: nn.Module, place: str) -> tuple[Any, Any]:
    """Hooks that note when execution enters and leaves a module."""
    before: list[str] = []

    def enter(*_: Any) -> None:
        before.append(imagination.place)
        imagination.place = place

    def leave(*_: Any) -> None:
        imagination.place = before.pop()

    return (
        module.register_forward_pre_hook(enter),
        module.register_forward_hook(leave, always_call=True),
    )
