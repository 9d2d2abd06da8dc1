"""The script for GPUs: its parts, very small, on the CPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import gpu


@pytest.fixture
def small(tmp_path: Path) -> gpu.Bench:
    return gpu.Bench(tmp_path, torch.device("cpu"), gpu.TINY)


@pytest.mark.parametrize("part", ["loss", "attention"])
def test_kernels_are_timed_by_themselves(part: str, small: gpu.Bench) -> None:
    lines = list(gpu.PARTS[part](small))
    assert len(lines) == 2
    assert "ms" in lines[0] or "µs" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["precision", "checkpointing", "packing", "batches", "syncs"])
def test_runs_tell_their_cost(part: str, small: gpu.Bench) -> None:
    lines = list(gpu.PARTS[part](small))
    told = [line for line in lines if "tokens/s" in line]
    assert len(told) == (0 if part == "syncs" else 2) and lines
    if part == "precision":
        assert lines[-1].endswith("torch.float32"), "what trains is kept in fp32"
