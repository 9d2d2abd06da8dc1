"""Limits on the line of `welltuned plan`."""

from __future__ import annotations

import pytest

from faults import full
from welltuned.errors import Faults
from welltuned.training.forecast.limits import Limits, take_limits


def test_limits_are_taken_out_of_the_arguments() -> None:
    faults = Faults()
    arguments = ["memory=4GiB", "time=1h30m", "disk=2GB", "training.seed=1", "config.yaml"]
    limits, others = take_limits(arguments, faults)
    assert limits == Limits(memory=4 * 2**30, time=5400.0, disk=2e9)
    assert others == ["training.seed=1", "config.yaml"] and not len(faults)


@pytest.mark.parametrize("wrong", ["memory=lots", "memory=4", "time=soon", "time=3x", "disk=0GB"])
def test_what_is_no_size_or_time_is_a_fault(wrong: str) -> None:
    faults = Faults()
    take_limits([wrong], faults)
    key, _, written = wrong.partition("=")
    example = "90s, 30m or 1h30m" if key == "time" else "4GiB"
    assert full(faults) == [f"argument '{wrong}' plan.bad_limit {key=!s} {written=!s} {example=!s}"]
