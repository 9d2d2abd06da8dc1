"""Machine calibration: speed of the basic operations, measured in a few seconds.

Every figure is that of the fastest of a few tries, so that other work on the machine counts
little.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from torch.nn import functional

from welltuned.models.compat.torch_api import FlopCounterMode, safe_softmax, softmax_backward
from welltuned.training.forecast.operations import ATTENTION, ATTENTION_BACKWARD
from welltuned.training.forecast.prices import Machine

_SIZES = ((32, 32, 32), (128, 64, 128), (256, 256, 256), (512, 384, 1536), (1024, 1024, 1024))
"""Matrix products that are timed, as (rows, inner size, columns)."""
_ELEMENTS = 2**19
_ROW = 512
"""Numbers that rows of a softmax or a normalisation have."""
_BUFFERS = 16
"""Data is taken from so many places in turn, as in a step, where hardly any is still at hand."""
_THIN = (1024, 384, 8)
"""A product like those of LoRA, as (tokens, width, rank)."""
_ROWS, _HEADS, _TOKENS, _WIDTHS = 8, 8, 128, (8, 64)
"""Attention that is timed, in two widths of a head."""
_WEIGHTS = 2**21
_FRESH = 2**24
"""Numbers that are more than a process would keep memory for."""
_aten = torch.ops.aten
_FUNCTIONS: dict[str, Callable[[torch.Tensor], object]] = {
    "gelu": functional.gelu,
    "gelu_backward": lambda x: _aten.gelu_backward(x, x),
    "silu": functional.silu,
    "silu_backward": lambda x: _aten.silu_backward(x, x),
    "relu": functional.relu,
    "tanh": torch.tanh,
    "exp": torch.exp,
    "cos": torch.cos,
    "sin": torch.sin,
    "pow": lambda x: x.pow(2),
    "rsqrt": torch.rsqrt,
    "_softmax": lambda x: x.view(-1, _ROW).softmax(-1),
    "_safe_softmax": lambda x: safe_softmax(x.view(-1, _ROW)),
    "_softmax_backward_data": lambda x: softmax_backward(x.view(-1, _ROW), x.view(-1, _ROW)),
    "_log_softmax": lambda x: x.view(-1, _ROW).log_softmax(-1),
    "native_layer_norm": lambda x: functional.layer_norm(x.view(-1, _ROW), (_ROW,)),
    "native_layer_norm_backward": lambda x: _layer_norm_backward(x.view(-1, _ROW)),
    "where": lambda x: torch.where(x > 0.5, x, 0.0),
    "bernoulli_": lambda x: torch.empty_like(x).bernoulli_(0.9),
    "native_dropout": lambda x: _aten.native_dropout(x, 0.1, True),
}
"""Operations that are timed by themselves, of `_ELEMENTS` numbers."""
_CHAIN = 100
_TRIES, _FEWEST, _SECONDS = 50, 4, 0.06
"""An operation is tried so often, or for so long but a few times at least: one try may meet other
work on the machine, and wait for it. The fastest counts."""


def calibrate_machine(device: torch.device, key: dict[str, object]) -> Machine:
    """Time every kind of operation; torch's random numbers stay what they were."""
    state = torch.get_rng_state()
    chain, counted = _chain(device, False), _chain(device, True)
    matmul, matmul_half = (
        _rising([_product(size, dtype, device) for size in _SIZES])
        for dtype in (torch.float32, torch.bfloat16)
    )
    machine = Machine(
        key=key,
        matmul=matmul,
        matmul_half=matmul_half,
        thin=_thin(device),
        attention=_attention(torch.float32, device),
        attention_half=_attention(torch.bfloat16, device),
        functions={name: _streamed(work, device) for name, work in _FUNCTIONS.items()},
        light=_streamed(lambda x: x + x, device) / (3 * 4),
        fresh=_fresh(device),
        call=chain,
        counting=max(counted - chain, 0.0),
        adam=_adam(device),
    )
    torch.set_rng_state(state)
    return machine


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of a few tries."""
    work()  # the first try loads what it needs
    best, started = math.inf, time.perf_counter()
    for tried in range(_TRIES):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
        if tried + 1 >= _FEWEST and time.perf_counter() - started > _SECONDS:
            break
    return best


def _layer_norm_backward(rows: torch.Tensor) -> object:
    mean, gain = rows[:, :1], rows[0]
    return _aten.native_layer_norm_backward(
        rows, rows, (_ROW,), mean, mean, gain, gain, (True, True, True)
    )


def _streamed(work: Callable[[torch.Tensor], object], device: torch.device) -> float:
    """Seconds an element of an operation whose data is not at hand and whose result is kept."""
    numbers = torch.rand(_BUFFERS, _ELEMENTS, device=device)
    return _fastest(lambda: [work(part) for part in numbers], device) / numbers.numel()


def _fresh(device: torch.device) -> float:
    """Seconds a byte of memory that is new to the process."""
    held = torch.zeros(_FRESH, device=device)
    anew = _fastest(lambda: torch.zeros(_FRESH, device=device), device)
    return max(0.0, anew - _fastest(held.zero_, device)) / (4 * _FRESH)


def _thin(device: torch.device) -> float:
    """Seconds a byte of the products of a LoRA, forward and backward."""
    tokens, width, rank = _THIN
    states = torch.rand(tokens, width, device=device, requires_grad=True)
    down = torch.rand(rank, width, device=device, requires_grad=True)
    up = torch.rand(width, rank, device=device, requires_grad=True)
    gradient = torch.rand(tokens, width, device=device)

    def run() -> None:
        functional.linear(functional.linear(states, down), up).backward(gradient)

    moved = 4 * 6 * (tokens * width + width * rank + tokens * rank)
    return _fastest(run, device) / moved


def _attention(dtype: torch.dtype, device: torch.device) -> dict[str, tuple[float, float]]:
    """Seconds a score and seconds a floating-point operation, forward and backward."""
    tried = [_attend(width, dtype, device) for width in _WIDTHS]
    scores = _ROWS * _HEADS * _TOKENS**2
    found = {}
    for name, of_score, (narrow, wide) in zip(
        (ATTENTION, ATTENTION_BACKWARD), (4, 10), zip(*tried, strict=True), strict=True
    ):
        a_flop = max(0.0, wide - narrow) / (scores * of_score * (_WIDTHS[1] - _WIDTHS[0]))
        a_score = max(0.0, narrow / scores - a_flop * of_score * _WIDTHS[0])
        found[name] = (a_score, a_flop)
    return found


def _attend(width: int, dtype: torch.dtype, device: torch.device) -> tuple[float, float]:
    """Seconds of an attention, forward and backward."""
    shape = (_ROWS, _HEADS, _TOKENS, width)
    query, key, value = (
        torch.rand(shape, device=device).to(dtype).requires_grad_() for _ in range(3)
    )
    mask = torch.zeros(_ROWS, 1, _TOKENS, _TOKENS, dtype=dtype, device=device)

    def attend() -> torch.Tensor:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    found = attend()
    gradient = torch.ones_like(found)
    backward = _fastest(lambda: found.backward(gradient, retain_graph=True), device)
    return _fastest(attend, device), backward


def _rising(table: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Without what is only noise: a product that takes longer than a larger one."""
    least, rising = math.inf, []
    for flops, seconds in reversed(table):
        least = min(least, seconds)
        rising.append((flops, least))
    return tuple(reversed(rising))


def _product(
    size: tuple[int, int, int], dtype: torch.dtype, device: torch.device
) -> tuple[float, float]:
    rows, inner, columns = size
    left = torch.rand(rows, inner, device=device).to(dtype)
    right = torch.rand(inner, columns, device=device).to(dtype)
    return 2.0 * rows * inner * columns, _fastest(lambda: left @ right, device)


def _chain(device: torch.device, counted: bool) -> float:
    """Seconds of one small operation, forward or backward, in a chain of them."""
    start = torch.rand(8, device=device, requires_grad=True)

    def run() -> None:
        value = start
        for _ in range(_CHAIN):
            value = value + 1.0
        value.sum().backward()

    def count() -> None:
        with FlopCounterMode(display=False):
            run()

    return _fastest(count if counted else run, device) / (2 * _CHAIN)


def _adam(device: torch.device) -> float:
    weights = torch.nn.Parameter(torch.rand(_WEIGHTS, device=device))
    weights.grad = torch.rand(_WEIGHTS, device=device)
    optimizer = torch.optim.AdamW([weights], fused=device.type in ("cpu", "cuda"))
    optimizer.step()  # the first makes its moments
    return _fastest(optimizer.step, device) / _WEIGHTS
