"""Devices and precision: found by looking and timing, never assumed."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext

import torch

from welltuned.engines.config import TrainingConfig

_SIZE = 768
_CLEARLY = 1.3
"""bf16 must be this many times faster than fp32 to be chosen: a close call must not flip between runs."""


def choose_device(wanted: str) -> torch.device:
    """The device to train on; auto prefers a GPU."""
    if wanted != "auto":
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("cpu")


def choose_precision(training: TrainingConfig, model_dtype: str, device: torch.device) -> tuple[str, str]:
    """(`fp32` or `bf16`, why)."""
    if model_dtype == "bfloat16":
        return "bf16", "the frozen weights are bfloat16"
    if training.precision != "auto":
        return training.precision, "as configured"
    if device.type == "cuda":
        return ("bf16", "the GPU has it") if torch.cuda.is_bf16_supported() else ("fp32", "the GPU lacks bf16")
    fp32, bf16 = matmul_rate(device, torch.float32), matmul_rate(device, torch.bfloat16)
    if bf16 > _CLEARLY * fp32:
        return "bf16", f"probe: {bf16 / fp32:.1f} times the speed of fp32 here"
    return "fp32", f"probe: bf16 has {bf16 / fp32:.1f} times the speed of fp32 here"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context forward passes run in."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of square matrix products on this device: the best of several short tries."""
    left, right = (torch.randn(_SIZE, _SIZE, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * _SIZE**3 / best
