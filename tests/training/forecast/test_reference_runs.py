"""What two reference runs tell of a machine."""

from __future__ import annotations

import pytest

from welltuned.training.forecast.reference_runs import _pace, _Tried


def tried(work: float, calls: float, pace: float, call: float) -> _Tried:
    return _Tried(0.0, 1.0, 0.0, pace * work + call * calls, work, calls)


def test_pace_and_calls_are_told_apart() -> None:
    small, large = tried(0.1, 10_000, 1.5, 2e-5), tried(4.0, 20_000, 1.5, 2e-5)
    pace, call = _pace(small, large, call=3e-6)
    assert pace == pytest.approx(1.5) and call == pytest.approx(2e-5)


def test_a_run_is_never_faster_than_its_operations() -> None:
    """Where noise says so, it is noise."""
    small, large = tried(0.1, 10_000, 1.0, 3e-6), tried(4.0, 20_000, 0.5, 3e-6)
    pace, call = _pace(small, large, call=3e-6)
    assert pace == 1.0 and call == pytest.approx(3e-6)
