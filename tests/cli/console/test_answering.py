"""How far answering has come, for those who wait."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from welltuned.cli.console import answering
from welltuned.cli.console.answering import AnswerProgress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`clock(3)`: three seconds later."""
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def later(seconds: float) -> None:
        now[0] += seconds

    return later


def test_what_is_soon_over_tells_nothing(clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with AnswerProgress(total=3) as progress:
        for _ in range(3):
            clock(0.5)
            progress.advance()
            progress.look()
    assert capsys.readouterr().err == ""


def test_a_log_has_a_line_now_and_then(clock: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with AnswerProgress(total=100, done=40) as progress:
        for _ in range(60):
            clock(0.5)
            progress.advance()
            progress.look()
    first, *_, last = lines = capsys.readouterr().err.splitlines()
    assert first == "answered 45 of 100 · 2.0 texts/s"
    assert last == "answered 100 of 100 · 2.0 texts/s" and len(lines) <= 5


def test_one_that_is_stopped_is_not_told_as_done(
    clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyError), AnswerProgress(total=100) as progress:
        for _ in range(8):
            clock(0.5)
            progress.advance()
            progress.look()
        raise KeyError
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_neither_where_it_would_be_in_the_way(
    clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with AnswerProgress(total=100, lines=False) as progress:
        for _ in range(8):
            clock(1)
            progress.advance()
            progress.look()
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bar:
        told: list[Any]
        task_ids = (0,)

        def __init__(self) -> None:
            self.told = ["new"]

        def add_task(self, what: str, total: int, text: str) -> None:
            self.told.append((what, total))

        def start(self) -> None:
            self.told.append("start")

        def update(self, task: int, completed: int, text: str) -> None:
            self.told.append((completed, text))

        def stop(self) -> None:
            self.told.append("stop")

    bar = Bar()
    monkeypatch.setattr(sys.stderr.__class__, "isatty", lambda self: True)
    monkeypatch.setattr(answering, "_new_bar", lambda: bar)
    with AnswerProgress(total=5) as progress:
        for _ in range(5):
            clock(1)
            progress.advance()
            progress.look()
    assert bar.told[1:3] == [("answering", 5), "start"]
    assert bar.told[-2:] == [(5, "1.0 texts/s"), "stop"]


def test_it_tells_while_the_first_answers_are_awaited(
    clock: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = AnswerProgress(total=100)
    for _ in range(6):
        clock(0.5)
        progress.look()
    assert capsys.readouterr().err == "answered 0 of 100\n"


def test_a_thread_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering, "_LOOKS", 0.001)
    looked = threading.Event()
    monkeypatch.setattr(AnswerProgress, "look", lambda self: looked.set())
    with AnswerProgress(total=1):
        assert looked.wait(10)
