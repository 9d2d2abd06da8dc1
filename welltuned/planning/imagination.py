"""A training step imagined: every operation and every byte of it, and no arithmetic.

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
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

_FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
_ATTENTIONS = {_FUSED: 0, _FUSED_BACKWARD: 1}
"""Attention without a T x T matrix, and at which place of its arguments the query stands."""
_KEPT = 32 * 2**20
ATTENTION, ATTENTION_BACKWARD = (packet.__name__ for packet in _ATTENTIONS)


@dataclass(frozen=True)
class Operation:
    """One call of an operation, as far as its price depends on it."""

    name: str
    """As `torch.ops.aten` names it; `view` where no data is touched."""
    elements: int = 0
    """Of the largest result; of attention, its scores (every query with every key)."""
    bytes: int = 0
    """Read and written..."""
    fresh: int = 0
    """... of which so many in tensors so large that the system gives their memory anew each
    time: more than 32 MiB, the most that glibc keeps."""
    flops: float = 0.0
    """Of matrix products."""
    parts: int = 1
    """How many matrix products of equal size it consists of."""
    half: bool = False
    """Whether those are of numbers of two bytes."""


@dataclass
class Trace:
    """What was imagined."""

    operations: Counter[Operation] = field(default_factory=Counter)
    flops: float = 0.0
    live: int = 0
    """Bytes of tensors that exist now."""
    peak: int = 0
    """The most bytes that existed at once."""
    at_peak: Counter[str] = field(default_factory=Counter)
    """What those were, by the place in the model that made them."""


class Imagination(TorchDispatchMode):
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
        if not any(tensor.is_meta for tensor in given):
            return self._compute(func, args, kwargs)
        if func is torch.ops.aten._local_scalar_dense.default:
            return True  # a question about values, such as whether two ways agree: they do
        if func is torch.ops.aten.index.Tensor:
            args = (args[0], _where(args[1]))
        if not all(tensor.is_meta for tensor in given):
            args, kwargs = tree_map(_without_values, (args, kwargs))
        if "device" in kwargs:  # what was imagined has no values to bring anywhere else
            kwargs = {**kwargs, "device": torch.device("meta")}
        result = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self._count(func, args, kwargs, result, outputs, given)
        for tensor in outputs:
            self._note(tensor)
        return result

    def _compute(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """For real, on the CPU: nothing given is imagined."""
        if str(kwargs.get("device")) == "meta":
            kwargs = {**kwargs, "device": torch.device("cpu")}
        result = func(*args, **kwargs)
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._note(leaf)
        return result

    def _count(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        outputs: list[torch.Tensor],
        given: list[torch.Tensor],
    ) -> None:
        packet = func._overloadpacket
        operation = Operation("view")
        if not (func.is_view or packet.__name__ in ("detach", "_unsafe_view")):
            flops = _flops(func, args, kwargs, result)
            operation = Operation(
                packet.__name__,
                _elements(packet, args, outputs),
                _bytes(outputs) + _bytes(given),
                sum(size for tensor in outputs if (size := _bytes([tensor])) > _KEPT),
                flops,
                _parts(packet, outputs[0]) if flops else 1,
                bool(flops) and outputs[0].element_size() == 2,
            )
            self.trace.flops += flops
        self.trace.operations[operation] += 1

    def _note(self, tensor: torch.Tensor) -> None:
        """Count a tensor's memory, once, for as long as it lives."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
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


def _flops(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> float:
    """Floating-point operations of matrix products; 0 of anything else."""
    packet = func._overloadpacket
    if packet is _FUSED:
        query, key, value = (tensor.shape for tensor in args[:3])
        return float(sdpa_flop_count(query, key, value))
    if packet is _FUSED_BACKWARD:
        gradient, query, key, value = (tensor.shape for tensor in args[:4])
        return float(sdpa_backward_flop_count(gradient, query, key, value))
    if packet in flop_registry:
        return float(flop_registry[packet](*args, **kwargs, out_val=result))
    return 0.0


def _elements(packet: Any, args: tuple[Any, ...], outputs: list[torch.Tensor]) -> int:
    if packet in _ATTENTIONS:
        query, key = args[_ATTENTIONS[packet] :][:2]
        return query.shape[:-1].numel() * key.shape[-2]
    return max((tensor.numel() for tensor in outputs), default=0)


def _parts(packet: Any, result: torch.Tensor) -> int:
    """Of how many products a batch of them or an attention consists."""
    if packet in _ATTENTIONS:
        return result.shape[:2].numel()
    return result.shape[0] if packet is torch.ops.aten.bmm else 1


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


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


_IN_HALF = frozenset(
    {
        functional.linear, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm,
        torch.bmm, torch.addmm, torch.baddbmm, torch.einsum, functional.conv1d,
        functional.scaled_dot_product_attention,
    }
)  # fmt: skip
_IN_FULL = {
    "cpu": frozenset({functional.cross_entropy, functional.nll_loss, functional.mse_loss}),
    "cuda": frozenset(
        {
            functional.cross_entropy, functional.nll_loss, functional.mse_loss, torch.softmax,
            torch.Tensor.softmax, functional.softmax, functional.log_softmax, torch.log_softmax,
            functional.layer_norm, torch.exp, torch.log, torch.pow, torch.Tensor.pow, torch.rsqrt,
            torch.sum, torch.Tensor.sum,
        }
    ),
}  # fmt: skip
"""What autocast computes in two bytes a number, and on which device what in four, of what models
use (https://docs.pytorch.org/docs/stable/amp.html)."""


class _AsOnDevice(TorchFunctionMode):
    """Functions as the device would serve them; on `meta` torch serves some in other ways.

    Attention by the kernel that keeps no T x T matrix: `meta` would always fall back on plain
    products, as devices really do where attention has dropout. And where autocast is on, numbers
    of two bytes: it does not know `meta`.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.is_autocast_enabled(self._device):
            if func in _IN_HALF:
                args, kwargs = tree_map(_to(torch.bfloat16), (args, kwargs))
            elif func in _IN_FULL[self._device]:
                args, kwargs = tree_map(_to(torch.float32), (args, kwargs))
        if func is functional.scaled_dot_product_attention:
            return _attend(func, *args, **kwargs)
        return func(*args, **kwargs)


def _to(dtype: torch.dtype) -> Callable[[Any], Any]:
    """Brings numbers that are not imagined and flags through, and all others to `dtype`."""

    def bring(leaf: Any) -> Any:
        imagined = isinstance(leaf, torch.Tensor) and leaf.is_meta
        return leaf.to(dtype) if imagined and leaf.is_floating_point() else leaf

    return bring


def _attend(
    func: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    if dropout_p or not query.is_meta:
        return func(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if enable_gqa:
        groups = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
    return _FUSED(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]


@contextmanager
def imagining(
    model: nn.Module | None = None,
    place_of: Callable[[str], str] = lambda name: "",
    device: str = "cpu",
) -> Iterator[Trace]:
    """Everything inside is imagined; the trace can be read while it grows.

    The model's weights count as there from the start, under `WEIGHTS`. What a module
    makes counts for the place that `place_of` gives its name; "" means that of the module
    around it. Inside `torch.autocast` for `device`, numbers have the sizes it gives them.
    """
    imagination = Imagination()
    hooks: list[Any] = []
    if model is not None:
        imagination.hold([*model.parameters(), *model.buffers()], WEIGHTS)
        hooks = [
            hook
            for name, module in model.named_modules()
            if (place := place_of(name))
            for hook in _watch(imagination, module, place)
        ]
    try:
        with imagination, _AsOnDevice(device):
            yield imagination.trace
    finally:
        for hook in hooks:
            hook.remove()


WEIGHTS = "weights"


def _watch(imagination: Imagination, module: nn.Module, place: str) -> tuple[Any, Any]:
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
