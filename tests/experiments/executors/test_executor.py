"""Executors are named in a config, and packages may add some."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from faults import refused
from welltuned.experiments.comparison.config import CompareConfig, comparison_from
from welltuned.experiments.executors import EXECUTORS, Local, Ray
from welltuned.experiments.executors.local import LocalPool
from welltuned.schema.plugins import GROUPS


def config(**values: Any) -> CompareConfig:
    return comparison_from({"model": "bert", "data": "demo:sentiment_en", **values})


def test_they_are_named_in_a_config() -> None:
    assert config().executor == config(executor="local").executor == Local()
    assert config(executor="ray").executor == Ray()
    asked = {"type": "ray", "address": "auto", "gpus": 0.5}
    assert config(executor=asked).executor == Ray(address="auto", gpus=0.5)
    with refused("config.type_unknown", key="executor", given="rai"):
        config(executor="rai")


def test_packages_may_add_some() -> None:
    assert EXECUTORS.group in GROUPS


def test_the_local_one_has_the_cores_of_this_process() -> None:
    with Local().open() as pool:
        assert isinstance(pool, LocalPool) and pool.cores >= 1 and pool.shares_memory


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with refused("executor.ray_missing"):
        Ray().open()
