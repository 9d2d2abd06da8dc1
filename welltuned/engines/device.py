"""Device and precision, chosen by measurement rather than by assumption."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch

from welltuned.engines.config import TrainingConfig
from welltuned.engines.threads import keep_to_usable_cores
from welltuned.models.anatomy import Anatomy
from welltuned.runs.environment import processor

for _cache in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
    # On a CPU every new shape of a bf16 product leaves 0.7 MB in each of these, and they keep
    # 1,024 shapes. Batches differ in length; a step needs a few dozen shapes.
    os.environ.setdefault(_cache, "64")

_SIZE = 768
CLEARLY = 1.2
"""How many times faster than fp32 bf16 must be to be chosen.
A close call would flip from run to run."""


@dataclass(frozen=True)
class Gain:
    """How many times as fast a step is in bf16 as in fp32, and how that is known."""

    speed: float
    why: str


def choose_device(wanted: str) -> torch.device:
    """The device to train on; auto prefers a GPU. Of a CPU, only the cores at hand are used."""
    keep_to_usable_cores()
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")


def choose_precision(
    training: TrainingConfig,
    model_dtype: str,
    device: torch.device,
    gain: Callable[[], Gain],
) -> tuple[str, str]:
    """(`fp32` or `bf16`, why). On a CPU by `gain`, how much faster a step in bf16 is there."""
    if model_dtype == "bfloat16":
        return "bf16", "the frozen weights are bfloat16"
    if training.precision != "auto":
        return training.precision, "as configured"
    if device.type == "cuda":
        return (
            ("bf16", "the GPU has it")
            if torch.cuda.is_bf16_supported()
            else ("fp32", "the GPU lacks bf16")
        )
    if device.type != "cpu":
        return "fp32", f"the safe choice on {device.type}"
    found = gain()
    return ("bf16" if found.speed > CLEARLY else "fp32"), found.why


def gain_of(anatomy: Anatomy, quantization: str | None = None) -> str:
    """The name under which the gain of bf16 is remembered: what it depends on.

    The strategy is left out, for strategies that are compared have to compute alike.
    """
    name = (
        f"speed of bf16: {processor()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}, {anatomy.family} of {anatomy.num_blocks} x {anatomy.hidden_size}"
    )
    return name if quantization is None else f"{name} in {quantization}"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context forward passes run in."""
    return (
        torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
    )


@cache
def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of square matrix products on this device: the best of several short tries.

    Measured once in a process.
    """
    left, right = (torch.randn(_SIZE, _SIZE, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * _SIZE**3 / best
