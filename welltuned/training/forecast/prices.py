"""Price model: seconds per operation on one machine, and per step.

A step is priced by its operations: matrix products by their size, functions such as gelu by
their elements, all else by the data that passes through, and each by what calling it costs.
Nothing is assumed of processors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from welltuned.training.forecast.meta_tracer import Trace
from welltuned.training.forecast.operations import Operation

FIXED_BYTES = 120 * 2**20
CHURN = 4.5
PACE = 1.1
START = 0.5
"""What stands in for `Machine.fixed_bytes`, `churn`, `pace` and `start` until reference runs
have measured them: what Linux with glibc shows for small encoders."""


@dataclass(frozen=True)
class Machine:
    """One machine, with one number of threads, one torch and one kind of device."""

    key: dict[str, Any]
    matmul: tuple[tuple[float, float], ...]
    """(floating-point operations, seconds) of products of growing size..."""
    matmul_half: tuple[tuple[float, float], ...]
    """... and the same of numbers of two bytes (bf16)."""
    thin: float
    """Seconds a byte of products that do little with much data, such as those of LoRA."""
    attention: dict[str, tuple[float, float]]
    """Seconds a score and seconds a floating-point operation, by the names of attentions..."""
    attention_half: dict[str, tuple[float, float]]
    """... and the same of numbers of two bytes."""
    functions: dict[str, float]
    """Seconds an element of operations that compute much with little data, by their names."""
    light: float
    """Seconds a byte that any other reads or writes..."""
    fresh: float
    """... and how many more where the system gives the memory anew."""
    call: float
    """Seconds an operation costs besides its work, its part in the backward pass included."""
    counting: float
    """What counting floating-point operations adds to that."""
    adam: float
    """Seconds a weight that AdamW moves."""
    fixed_bytes: int = FIXED_BYTES
    """Memory that libraries take once they are used, whatever the model."""
    churn: float = CHURN
    """How many times the bytes of the largest batch that is scored stay with the process."""
    pace: float = PACE
    """How many times as long a real run takes as its operations do when each is tried by itself."""
    start: float = START
    """Seconds that the first step of a run takes beyond what others do: libraries load."""
    complete: bool = False
    """Whether the last four, and what a call costs in a real run, were measured here."""

    def seconds(self, trace: Trace) -> float:
        """How long the traced operations would take."""
        return sum(
            number * self._seconds(operation) for operation, number in trace.operations.items()
        )

    @property
    def flops_per_second(self) -> float:
        """Of the largest product that was timed."""
        flops, seconds = self.matmul[-1]
        return flops / seconds

    def _seconds(self, operation: Operation) -> float:
        return self.call + self._work(operation) + self.fresh * operation.fresh

    def _work(self, operation: Operation) -> float:
        elements, flops = operation.elements, operation.flops
        if operation.name in self.attention:
            kind = self.attention_half if operation.half else self.attention
            a_score, a_flop = kind[operation.name]
            return a_score * elements + a_flop * flops
        if flops:
            table = self.matmul_half if operation.half else self.matmul
            each = seconds_of_product(table, flops / operation.parts)
            return max(operation.parts * each, self.thin * operation.bytes)
        if operation.name in self.functions:
            return self.functions[operation.name] * elements
        return self.light * operation.bytes


def seconds_of_product(table: tuple[tuple[float, float], ...], flops: float) -> float:
    """Seconds of a product, interpolated log-log between two that were timed."""
    sizes = [size for size, _ in table]
    above = next((i for i, size in enumerate(sizes) if size >= flops), len(sizes) - 1)
    (x0, y0), (x1, y1) = table[max(above - 1, 0)], table[max(above, 1)]
    if flops <= sizes[0]:
        return y0
    if flops >= sizes[-1]:
        return y1 * flops / x1
    share = math.log(flops / x0) / math.log(x1 / x0)
    return y0 * (y1 / y0) ** share
