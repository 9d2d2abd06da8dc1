"""Where the seconds of a run go."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import get_args

import pytest

from welltuned.runs import phases
from welltuned.runs.phases import CLOCK, phase

Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """A clock that moves on when it is told to."""
    now = [100.0]
    clock = SimpleNamespace(perf_counter=lambda: now[0], process_time=lambda: now[0] / 2)
    monkeypatch.setattr(phases, "time", clock)
    CLOCK.end()

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_what_is_within_is_taken_off_what_is_around(wait: Wait) -> None:
    CLOCK.begin()
    with phase("train"):
        wait(1.0)
        with phase("validate"):
            wait(2.0)
        wait(4.0)
    with phase("save"), phase("proof"):
        wait(8.0)
    assert CLOCK.end() == {"train": 5.0, "validate": 2.0, "proof": 8.0}
    assert CLOCK.end() == {}


def test_the_sum_is_the_time_since_the_run_began(wait: Wait) -> None:
    CLOCK.begin()
    with phase("load"):
        wait(1.0)
    wait(2.0)
    assert CLOCK.so_far() == {"load": 1.0, "other": 2.0}
    with phase("report"):
        wait(4.0)
    assert CLOCK.end() == {"load": 1.0, "report": 4.0, "other": 2.0}


def test_a_run_that_was_resumed_began_with_what_had_been_spent(wait: Wait) -> None:
    CLOCK.begin()
    with phase("train"):
        wait(3.0)
    wait(1.0)
    spent = CLOCK.spent()
    assert spent == {"phases": {"train": 3.0, "other": 1.0}, "cpu_seconds": 2.0}
    CLOCK.end()
    CLOCK.begin()
    CLOCK.carry(spent)
    with phase("train"):
        wait(10.0)
    with phase("test"):
        wait(20.0)
    phases = {"train": 13.0, "other": 1.0, "test": 20.0}
    assert CLOCK.spent() == {"phases": phases, "cpu_seconds": 17.0}
    assert CLOCK.carried == spent
    assert CLOCK.end() == phases and CLOCK.carried is None


def test_a_run_that_was_expected_began_earlier(wait: Wait) -> None:
    """What is imported for it counts, and what its process did before that."""
    CLOCK.expect(already=0.5)
    with phase("import"):
        wait(7.0)
    wait(1.0)
    CLOCK.begin()
    with phase("data"):
        wait(2.0)
    assert CLOCK.end() == {"import": 7.0, "data": 2.0, "other": 1.5}
    wait(64.0)
    CLOCK.begin()  # the next one was not expected
    assert CLOCK.end() == {}


def test_a_phase_that_fails_ends(wait: Wait) -> None:
    with pytest.raises(ValueError), phase("data"), phase("load"):
        wait(1.0)
        raise ValueError
    wait(2.0)
    assert CLOCK.end() == {"load": 1.0, "other": 2.0}


def test_a_new_run_starts_at_nothing(wait: Wait) -> None:
    with phase("train"):
        wait(1.0)
    CLOCK.begin()
    assert CLOCK.end() == {}


def test_what_a_run_is_at_can_be_seen(wait: Wait) -> None:
    """Coming back from a phase within, it is at the outer one anew."""
    assert CLOCK.present.at == ("other", 100.0)
    with phase("train"):
        wait(1.0)
        with phase("validate"):
            assert CLOCK.present.at == ("validate", 101.0)
            wait(2.0)
        assert CLOCK.present.at == ("train", 103.0)
    assert CLOCK.present.at == ("other", 103.0)


def test_every_phase_has_a_meaning() -> None:
    assert set(phases.MEANING) == set(get_args(phases.Phase))
