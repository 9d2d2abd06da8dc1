"""What takes longer than two seconds is told of, on a clock that moves when it is told to."""

from __future__ import annotations

import io
import logging
import threading
from types import SimpleNamespace

import pytest
from rich.console import Console

from welltuned.cli.console.run import ConsoleObserver
from welltuned.engines.events import Step
from welltuned.runs import phases
from welltuned.runs.phases import CLOCK, Phase, phase
from welltuned.training import waits
from welltuned.training.log import LoggingObserver
from welltuned.training.observer import Observer
from welltuned.training.waits import Waits, telling_waits


class Clock:
    """Time passes in steps of half a second, and somebody looks at each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        told = SimpleNamespace(
            perf_counter=lambda: self.now,
            monotonic=lambda: self.now,
            process_time=lambda: self.now,
        )
        monkeypatch.setattr(phases, "time", told)
        monkeypatch.setattr(waits, "time", told)
        CLOCK.end()

    def watch(self, observer: Observer) -> None:
        self.look = Waits(observer, CLOCK.present).look

    def wait(self, seconds: float) -> None:
        for _ in range(int(2 * seconds)):
            self.now += 0.5
            self.look()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def at_console(clock: Clock, terminal: bool) -> tuple[ConsoleObserver, io.StringIO]:
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=200, soft_wrap=True)
    observer = ConsoleObserver(console)
    clock.watch(observer)
    return observer, buffer


def step(number: int) -> Step:
    return Step(number, 90, number / 90, 0.5, 1e-3, 1.0, examples=8, tokens=80, seconds=0.5)


LONG: tuple[Phase, ...] = (
    "import", "data", "load", "probe", "baseline", "train", "validate", "test", "generate",
    "retention", "save", "proof", "report", "rollout", "reward", "learning", "looking",
)  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_in_a_log_every_long_phase_has_a_line(name: Phase, clock: Clock) -> None:
    _, buffer = at_console(clock, terminal=False)
    with phase(name):
        clock.wait(1.5)
        assert buffer.getvalue() == ""
        clock.wait(1.0)
    clock.wait(1.0)
    assert buffer.getvalue() == f"· {phases.MEANING[name]}: 2.0 s so far\n"


def test_in_a_log_a_longer_one_has_a_line_every_ten_seconds(clock: Clock) -> None:
    _, buffer = at_console(clock, terminal=False)
    with phase("load"):
        clock.wait(23)
    assert [line.split(": ")[1] for line in buffer.getvalue().splitlines()] == [
        "2.0 s so far",
        "12.0 s so far",
        "22.0 s so far",
    ]


def test_what_tells_how_far_it_is_needs_no_other_line(clock: Clock) -> None:
    observer, buffer = at_console(clock, terminal=False)
    with phase("test"):
        for done in range(1, 7):
            clock.wait(1)
            observer.working("reading test", done, 6)
    assert buffer.getvalue().splitlines() == [
        "reading test: 3 of 6 · 1/s",
        "reading test: 6 · 1/s",
    ]


def test_validation_within_training_is_told(clock: Clock) -> None:
    observer, buffer = at_console(clock, terminal=False)
    with phase("train"):
        observer.started(90)
        for number in range(1, 7):
            clock.wait(0.5)
            observer.stepped(step(number))
        with phase("validate"):
            clock.wait(3)
    first, second = buffer.getvalue().splitlines()
    assert first.startswith("step 5/90") and second == "· reading validation: 2.0 s so far"


def test_on_a_terminal_a_line_comes_and_goes(clock: Clock) -> None:
    observer, buffer = at_console(clock, terminal=True)
    with phase("load"):
        clock.wait(1.5)
        assert buffer.getvalue() == ""
        clock.wait(1.5)
        assert observer._status is not None
        assert observer._status.status == "loading the model: 3.0 s so far"
    clock.wait(0.5)
    assert observer._status is None
    assert "\x1b[?25h" in buffer.getvalue(), "the cursor is given back"


def test_on_a_terminal_a_wait_stands_beside_the_bar(clock: Clock) -> None:
    observer, _ = at_console(clock, terminal=True)
    with phase("train"):
        observer.stepped(step(1))
        with phase("validate"):
            clock.wait(3)
            assert observer._progress is not None and observer._status is None
            assert [task.fields["wait"] for task in observer._progress.tasks] == [
                "· reading validation: 3.0 s so far"
            ]
        observer.stepped(step(2))
    assert observer._progress is not None
    assert [task.fields["wait"] for task in observer._progress.tasks] == [""]
    observer.close()


def test_logging_is_told_too(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    clock.watch(LoggingObserver())
    with caplog.at_level(logging.INFO, "welltuned"), phase("save"):
        clock.wait(13)
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["saving: 2.0 s so far", "saving: 12.0 s so far"]


class Hearing(Observer):
    def __init__(self) -> None:
        self.heard: list[tuple[str, threading.Thread]] = []
        self.said = threading.Event()

    def waiting(self, what: str, seconds: float) -> None:
        self.heard.append((what, threading.current_thread()))
        if what == "loading the model":  # it may look before the phase begins, and after its end
            self.said.set()


def test_a_thread_looks_while_a_run_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for all who ask for it in a run, and it ends with the run."""
    monkeypatch.setattr(waits, "PATIENCE", 0.0)
    monkeypatch.setattr(waits, "_LOOKS", 0.001)
    outer, inner, threads = Hearing(), Hearing(), threading.active_count()
    with telling_waits(outer), telling_waits(inner), phase("load"):
        assert threading.active_count() == threads + 1
        assert outer.said.wait(10)
    assert threading.active_count() == threads and not inner.heard
    assert threading.current_thread() not in [thread for _, thread in outer.heard]


def test_who_does_not_listen_needs_no_thread() -> None:
    threads = threading.active_count()
    with telling_waits(Observer()):
        assert threading.active_count() == threads
