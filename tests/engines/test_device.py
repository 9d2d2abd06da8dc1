"""Devices and precision."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from welltuned.engines import device as precision
from welltuned.engines.config import TrainingConfig
from welltuned.engines.device import (
    Gain,
    autocast,
    choose_device,
    choose_precision,
    matmul_rate,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def fail() -> Gain:
    pytest.fail("the probe ran")


def clock(monkeypatch: pytest.MonkeyPatch, *ticks: float) -> None:
    """`time.perf_counter` gives these values in turn."""
    values = iter(ticks)
    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=lambda: next(values)))


@pytest.mark.parametrize(("there", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_prefers_a_gpu(there: bool, chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto").type == chosen
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_what_is_configured_is_taken_without_a_probe(wanted: str) -> None:
    training = TrainingConfig.model_validate({"precision": wanted})
    assert choose_precision(training, "float32", CPU, fail) == (wanted, "as configured")


def test_weights_in_half_precision_leave_no_choice() -> None:
    for wanted in ("auto", "fp32"):
        training = TrainingConfig.model_validate({"precision": wanted})
        chosen, why = choose_precision(training, "bfloat16", CPU, fail)
        assert (chosen, why) == ("bf16", "the frozen weights are bfloat16")


@pytest.mark.parametrize(("speed", "chosen"), [(1.5, "bf16"), (1.2, "fp32"), (0.25, "fp32")])
def test_on_a_cpu_bf16_is_taken_only_where_a_step_is_clearly_faster(
    speed: float, chosen: str
) -> None:
    gain = Gain(speed, "as measured")
    found = choose_precision(TrainingConfig(), "float32", CPU, lambda: gain)
    assert found == (chosen, "as measured")


@pytest.mark.parametrize(("has_it", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_computes_in_bf16_where_it_can(
    has_it: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_it)
    assert choose_precision(TrainingConfig(), "float32", GPU, fail)[0] == chosen


def test_elsewhere_fp32_is_the_safe_choice() -> None:
    assert choose_precision(TrainingConfig(), "float32", torch.device("mps"), fail) == (
        "fp32",
        "the safe choice on mps",
    )


@pytest.mark.parametrize(("wanted", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_computes_products_in_the_precision(wanted: str, dtype: torch.dtype) -> None:
    ones = torch.ones(2, 2)
    with autocast(wanted, CPU):
        assert (ones @ ones).dtype == dtype
    assert (ones @ ones).dtype == torch.float32


def test_the_rate_is_that_of_the_best_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two operations per element of a product, over the shortest of six."""
    monkeypatch.setattr(precision, "_SIZE", 10)
    clock(monkeypatch, 0, 9, 10, 14, 20, 22, 30, 35, 40, 43, 50, 58)
    assert matmul_rate.__wrapped__(CPU, torch.float32) == 2 * 10**3 / 2
