"""Signals stop work at once, or where it says that it can be gone on with."""

from __future__ import annotations

import os
import signal
import time

import pytest

from welltuned.errors import Stopped
from welltuned.runs import stopping
from welltuned.runs.stopping import asked_to_stop, at_boundaries, at_once, stoppable


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)
    time.sleep(0)  # handlers run between two instructions


def test_a_signal_stops_at_once() -> None:
    with pytest.raises(Stopped) as stop, stoppable():
        send()
        pytest.fail("not stopped")
    assert stop.value.exit_status == 143


def test_ctrl_c_stays_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), stoppable():
        send(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_waits_for_a_boundary(number: int) -> None:
    reached = []
    with pytest.raises(Stopped) as stop, stoppable(), at_boundaries():
        send(number)
        reached.append(asked_to_stop())
    assert reached == [number] and stop.value.signal_number == number


@pytest.mark.parametrize(
    ("second", "error"), [(signal.SIGTERM, Stopped), (signal.SIGINT, KeyboardInterrupt)]
)
def test_the_second_one_does_not(second: int, error: type[BaseException]) -> None:
    with pytest.raises(error), stoppable(), at_boundaries():
        send()
        send(second)
        pytest.fail("not stopped")


def test_work_that_may_be_stopped_anywhere_is(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped), stoppable(), at_boundaries(), at_once():
        send()
        pytest.fail("not stopped")
    with pytest.raises(Stopped), stoppable(), at_boundaries():
        send()
        with at_once():
            pytest.fail("begun all the same")


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_PATIENCE", 0.05)
    with pytest.raises(Stopped) as stop, stoppable(), at_boundaries():
        send()
        time.sleep(5)
        pytest.fail("not stopped")
    assert stop.value.signal_number == signal.SIGTERM


def test_what_was_asked_before_counts_no_more() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Stopped), stoppable():
        send()
    with at_boundaries():  # an engine by itself, with nobody who listens to signals
        assert asked_to_stop() is None
    with stoppable(), at_boundaries():
        assert asked_to_stop() is None
    assert signal.getsignal(signal.SIGINT) is before
