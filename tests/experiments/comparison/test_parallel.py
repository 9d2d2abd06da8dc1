"""How many cells run side by side, and with how many threads."""

from __future__ import annotations

from typing import Any

import pytest

from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.parallel import (
    settle_threads,
    workers_for,
)
from welltuned.runs.comparison_schema import SharedSettings


@pytest.mark.parametrize(
    ("asked", "cells", "device", "workers", "threads"),
    [
        ({}, 10, "cpu", 8, 1),
        ({}, 3, "cpu", 3, 2),
        ({}, 0, "cpu", 1, 8),
        ({}, 10, "cuda", 1, 8),
        ({"budget": "20m"}, 10, "cpu", 1, 8),
        ({"workers": 3}, 10, "cpu", 3, 2),
        ({"workers": 16}, 20, "cpu", 16, 1),
        ({"workers": 2}, 10, "cuda", 2, 4),
        ({"threads": 1, "workers": 1}, 10, "cpu", 1, 1),
    ],
)
def test_they_share_the_machine(
    asked: dict[str, Any], cells: int, device: str, workers: int, threads: int
) -> None:
    config = comparison_from({"model": "bert", "data": "demo:sentiment_en", **asked})
    assert workers_for(config, cells, device, 8) == workers
    settled: SharedSettings = {"device": device}
    assert settle_threads(config, cells, settled, 8) == workers and settled["threads"] == threads


def test_who_goes_on_keeps_the_threads() -> None:
    values: dict[str, Any] = {"model": "bert", "data": "demo:sentiment_en"}
    settled: SharedSettings = {"threads": 5}
    assert settle_threads(comparison_from(values), 4, settled, 8) == 4 and settled["threads"] == 5
    settle_threads(comparison_from({**values, "threads": 2}), 4, settled, 8)
    assert settled["threads"] == 2
