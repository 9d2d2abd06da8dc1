"""Attention on a CPU in bf16 and in float32: seconds of a forward and a backward pass by length.

What `welltuned/models/cpu_attention.py` rests on: torch's fused attention takes longer in bf16
than in float32 for short texts. Heads as in all-MiniLM-L6-v2 (12 of 32 features), 16 texts, one
thread; the fastest of a few tries.

    python benchmarks/cpu_attention.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.nn import functional

LENGTHS = (16, 32, 64, 128, 256, 512, 1024)
TRIES = 9


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few tries."""
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure(length: int, dtype: torch.dtype) -> tuple[float, float]:
    """Seconds of a forward and of a backward pass, casts between bf16 and `dtype` included."""
    torch.manual_seed(0)
    states = [torch.randn(16, 12, length, 32).bfloat16().requires_grad_() for _ in range(3)]

    def attend() -> torch.Tensor:
        query, key, value = (tensor.to(dtype) for tensor in states)
        return functional.scaled_dot_product_attention(query, key, value).bfloat16()

    output = attend()
    gradient = torch.ones_like(output)
    return fastest(attend), fastest(lambda: output.backward(gradient, retain_graph=True))


def main() -> None:
    torch.set_num_threads(1)
    print(f"{'tokens':>6} {'forward':>22} {'backward':>22}   ms in bf16, in float32")
    for length in LENGTHS:
        half, full = measure(length, torch.bfloat16), measure(length, torch.float32)
        cells = (
            f"{1e3 * a:9.2f} {1e3 * b:7.2f} {a / b:4.1f}x" for a, b in zip(half, full, strict=True)
        )
        print(f"{length:6} {' '.join(cells)}")


if __name__ == "__main__":
    main()
