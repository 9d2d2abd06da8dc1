"""Signals that ask a run to stop, and what may finish before it does.

SIGTERM becomes `Stopped`, Ctrl-C stays `KeyboardInterrupt`. Within `at_boundaries` the first of
them only leaves word: the work there asks `asked_to_stop` wherever it can be gone on with, saves,
and calls `stop_now`. A second one stops it at once, and so does the end of its patience.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from welltuned.errors import Stopped

_PATIENCE = 20.0
"""Seconds that work may take to come to where it can be gone on with."""


class _Word:
    """What signals have left, in this process."""

    waits = False
    """Whether work is under way that stops at a boundary."""
    signal: int | None = None


@contextmanager
def stoppable() -> Iterator[None]:
    """Let signals stop what is done meanwhile by an exception.

    In the main thread alone, where signals can be caught.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, _hear) for number in _listened_to()}
    try:
        yield
    finally:
        _be_patient(0)
        _Word.signal = None  # whoever works here next was not asked
        for number, handler in previous.items():
            signal.signal(number, handler)


def _listened_to() -> list[int]:
    alarm = getattr(signal, "SIGALRM", None)  # Windows has none
    return [signal.SIGTERM, signal.SIGINT, *([alarm] if alarm is not None else [])]


def _hear(number: int, _frame: FrameType | None) -> None:
    first, alarmed = _Word.signal is None, number == getattr(signal, "SIGALRM", None)
    if first:
        _Word.signal = number
    if first and _Word.waits and not alarmed:
        _be_patient(_PATIENCE)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        stop_now()


def _be_patient(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


@contextmanager
def at_boundaries() -> Iterator[None]:
    """Work that asks `asked_to_stop` at every boundary where it can be gone on with."""
    with _waiting(True):
        yield
    _heed()


@contextmanager
def at_once() -> Iterator[None]:
    """Work within `at_boundaries` that may be stopped anywhere."""
    with _waiting(False):
        _heed()
        yield


@contextmanager
def _waiting(waits: bool) -> Iterator[None]:
    before, _Word.waits = _Word.waits, waits
    try:
        yield
    finally:
        _Word.waits = before


def _heed() -> None:
    if asked_to_stop() is not None:
        stop_now()


def asked_to_stop() -> int | None:
    """The number of the signal that asks to stop; None where none does."""
    return _Word.signal


def stop_now() -> NoReturn:
    """Raise `Stopped`, for the signal that was heard."""
    raise Stopped(_Word.signal or signal.SIGTERM)
