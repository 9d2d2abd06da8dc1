"""Times and sizes as people write them."""

from __future__ import annotations

import pytest

from welltuned.errors import Faults
from welltuned.experiments.comparison.config import BudgetConfig, LimitsConfig
from welltuned.schema.document import Document, validate


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("20m", 1200), ("20 min", 1200), ("1h30m", 5400), ("1.5h", 5400), (45, 45)],
)
def test_times(written: object, seconds: float) -> None:
    assert BudgetConfig.model_validate({"time": written}).time == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("500MB", 5e8), ("4GiB", 2**32), ("1.5 kB", 1500), ("10B", 10), (123, 123)],
)
def test_sizes(written: object, size: float) -> None:
    assert LimitsConfig.model_validate({"memory": written}).memory == size


@pytest.mark.parametrize(
    ("part", "key", "written", "told"),
    [
        (BudgetConfig, "time", "soon", "'soon' is no time"),
        (BudgetConfig, "time", "20", "'20' is no time"),
        (BudgetConfig, "time", "20m!", "'20m!' is no time"),
        (BudgetConfig, "time", "20x", "'x' is no unit of a time"),
        (LimitsConfig, "memory", "4Gb", "'Gb' is no unit of a size"),
        (LimitsConfig, "artifact", "5 5MB", "'5 5MB' is no size"),
    ],
)
def test_what_is_neither_is_refused_with_an_example(
    part: type, key: str, written: str, told: str
) -> None:
    faults = Faults()
    assert validate(part, Document({key: written}), faults) is None
    [fault] = faults
    assert fault.what == told
    assert fault.remedy.startswith("write it as ")


@pytest.mark.parametrize("written", ["0s", -3])
def test_nothing_is_no_budget(written: object) -> None:
    faults = Faults()
    assert validate(BudgetConfig, Document({"time": written}), faults) is None
    assert len(faults) == 1
