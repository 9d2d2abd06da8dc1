"""What both stages cost, before any weight is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from welltuned.experiments.adaptation import forecast
from welltuned.experiments.adaptation.config import AdaptConfig
from welltuned.experiments.adaptation.forecast import plan_adaptation
from welltuned.training.forecast.limits import Limits


@pytest.mark.slow
def test_the_reading_and_the_run_are_a_row_each(
    asking: Callable[..., AdaptConfig], machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "measured", lambda device, progress: machine)
    plan = plan_adaptation(asking(strategy={"type": "lora", "r": 4}), Limits(), lambda *told: None)
    assert [row.name for row in plan.rows] == ["adapt: full", "run: lora"]
    assert all(row.forecast is not None and row.forecast.memory.total > 0 for row in plan.rows)
