"""Errors and faults: what went wrong, where, and how to fix it.

Every message a user sees is built from `Fault`s. Faults are collected rather
than raised one by one, so that a person mends a file once and not ten times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A spot in a file (or on the command line) that a person can go to."""

    source: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(
            str(part) for part in (self.source, self.line, self.column) if part is not None
        )


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: `what`, `place` and `remedy`, printed on one line."""

    what: str
    place: Place | None = None
    remedy: str = ""

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return " ".join(f"{where}{self.what}{remedy}".split())


class WelltunedError(Exception):
    """The base of every error this package raises on purpose."""

    exit_status = 1


class InputError(WelltunedError):
    """The request cannot be carried out as given. Holds every fault that was found."""

    exit_status = 2

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class RunFailed(WelltunedError):
    """Training or its proof failed after it had started."""


class NotFinite(RunFailed):
    """A loss or gradient was no number; no step was taken with it."""


class Stopped(WelltunedError):
    """A signal asked the run to stop; the exit status is 128 plus its number."""

    def __init__(self, signal_number: int) -> None:
        self.exit_status = 128 + signal_number
        super().__init__(f"stopped by signal {signal_number}")


class Pruned(WelltunedError):
    """A search ended the run before its time, because others did better by then."""


class Faults:
    """Collects faults; at most `shown` of one kind are spelled out, the rest are counted.

    >>> faults = Faults()
    >>> faults.add("the file is empty", Place("train.csv"), "give a file with rows")
    >>> len(faults)
    1
    """

    def __init__(self, shown: int = 10) -> None:
        self._shown = shown
        self._faults: list[Fault] = []
        self._per_kind: dict[str, int] = {}
        self._last_remedy: dict[str, str] = {}

    def add(
        self, what: str, place: Place | None = None, remedy: str = "", kind: str | None = None
    ) -> None:
        """Record one fault. Faults of the same `kind` beyond the shown ones are only counted."""
        if kind is not None:
            self._per_kind[kind] = self._per_kind.get(kind, 0) + 1
            self._last_remedy[kind] = remedy
            if self._per_kind[kind] > self._shown:
                return
        self._faults.append(Fault(what, place, remedy))

    def extend(self, faults: Iterable[Fault]) -> None:
        self._faults.extend(faults)

    def __iter__(self) -> Iterator[Fault]:
        yield from self._faults
        for kind, count in self._per_kind.items():
            if count > self._shown:
                yield Fault(
                    f"and {count - self._shown} more: {kind}", None, self._last_remedy[kind]
                )

    def __len__(self) -> int:
        return len(list(iter(self)))

    def raise_if_any(self) -> None:
        """Raise `InputError` with everything collected so far."""
        if len(self):
            raise InputError(self)
