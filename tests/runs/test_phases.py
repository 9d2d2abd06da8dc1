"""Where the seconds of a run go."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from welltuned.runs import phases
from welltuned.runs.phases import CLOCK, phase


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> object:
    """A clock that moves on when it is told to."""
    now = [100.0]
    monkeypatch.setattr(phases, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    CLOCK.end()

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_what_is_within_is_taken_off_what_is_around(wait: object) -> None:
    assert callable(wait)
    with phase("import"):
        wait(7.0)
    CLOCK.begin()
    with phase("train"):
        wait(1.0)
        with phase("validate"):
            wait(2.0)
        wait(4.0)
    wait(64.0)  # by nobody's phase
    with phase("save"), phase("proof"):
        wait(8.0)
    assert CLOCK.end() == {"import": 7.0, "train": 5.0, "validate": 2.0, "proof": 8.0}
    assert CLOCK.end() == {}


def test_a_phase_that_fails_ends(wait: object) -> None:
    assert callable(wait)
    with pytest.raises(ValueError), phase("data"), phase("load"):
        wait(1.0)
        raise ValueError
    wait(2.0)
    assert CLOCK.end() == {"load": 1.0}


def test_a_new_run_starts_at_nothing(wait: object) -> None:
    assert callable(wait)
    with phase("train"):
        wait(1.0)
    CLOCK.begin()
    assert CLOCK.end() == {}
