"""Times and sizes as people write them."""

from __future__ import annotations

import pytest

from welltuned.errors import Faults
from welltuned.experiments.comparison.config import BudgetConfig, LimitsConfig
from welltuned.schema.document import Document
from welltuned.schema.units import duration_text, rate_text, size_text
from welltuned.schema.validation import validate


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
    ("part", "key", "written", "code"),
    [
        (BudgetConfig, "time", "soon", "config.bad_unit_text"),
        (BudgetConfig, "time", "20", "config.bad_unit_text"),
        (BudgetConfig, "time", "20m!", "config.bad_unit_text"),
        (BudgetConfig, "time", "20x", "config.unit_unknown"),
        (LimitsConfig, "memory", "4Gb", "config.unit_unknown"),
        (LimitsConfig, "artifact", "5 5MB", "config.bad_unit_text"),
    ],
)
def test_what_is_neither_is_refused_with_an_example(
    part: type, key: str, written: str, code: str
) -> None:
    faults = Faults()
    assert validate(part, Document({key: written}), faults) is None
    [fault] = faults
    assert fault.code == code
    assert fault.remedy.startswith("write it as ")


@pytest.mark.parametrize("written", ["0s", -3])
def test_nothing_is_no_budget(written: object) -> None:
    faults = Faults()
    assert validate(BudgetConfig, Document({"time": written}), faults) is None
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (7.26, "7.3 s"), (59.0, "59.0 s"), (59.97, "1 min 0 s"),
        (60, "1 min 0 s"), (123.4, "2 min 3 s"), (3599.7, "1 h 0 min"), (7500, "2 h 5 min"),
    ],
)  # fmt: skip
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_400_000, "3.4 MB"),
        (999_900_000, "999.9 MB"), (5e9, "5.0 GB"), (1.2e13, "12000.0 GB"),
    ],
)  # fmt: skip
def test_sizes_are_written_for_people(size: float, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("per_second", "shown"),
    [
        (1234.4, "1234 examples/s"),
        (12.0, "12 examples/s"),
        (3.25, "3.2 examples/s"),
        (1.0, "1.0 examples/s"),
        (0.5, "2.0 s/example"),
        (0.004, "250 s/example"),
        (0.0, "0 examples/s"),
    ],
)
def test_what_is_slow_is_told_in_seconds_each(per_second: float, shown: str) -> None:
    assert rate_text(per_second, "examples") == shown
