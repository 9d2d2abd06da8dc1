"""Errors and faults: what went wrong, where, and how to fix it.

Every message a user sees is built from `Fault`s. Faults are collected rather
than raised one by one, so that a person mends a file once and not ten times.

A fault has a code, such as `data.column_missing`, which stays when its words change: programs and
tests compare codes and values. The words stand where the check is made, and `docs/errors.md`
lists all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


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


@dataclass(frozen=True, init=False)
class Fault:
    """One thing that is wrong, printed on one line: `place: what -> remedy [code]`.

    >>> fault = Fault("data.empty", "{name} has no rows", None, "give a file with rows", name="a")
    >>> fault.code, fault.values, str(fault)
    ('data.empty', {'name': 'a'}, 'a has no rows -> give a file with rows [data.empty]')
    """

    code: str
    """`area.kind`: one code, one meaning."""
    what: str
    place: Place | None
    remedy: str
    values: Mapping[str, Any] = field(hash=False)
    """What the words were filled with, by name."""

    def __init__(
        self,
        code: str,
        what: str,
        place: Place | None = None,
        remedy: str = "",
        /,
        **values: object,
    ) -> None:
        """`what` and `remedy` are templates: `{name}` stands for the value of that name."""
        fields = {
            "code": code,
            "what": what.format(**values),
            "place": place,
            "remedy": remedy.format(**values),
            "values": values,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        remedy = f" -> {self.remedy}" if self.remedy else ""
        return " ".join(f"{where}{self.what}{remedy} [{self.code}]".split())

    def as_dict(self) -> dict[str, object]:
        """The fault as plain data; `Fault.from_dict` reads it back."""
        return {
            "code": self.code,
            "what": self.what,
            "place": asdict(self.place) if self.place else None,
            "remedy": self.remedy,
            "values": {name: _plain(value) for name, value in self.values.items()},
        }

    def as_message(self) -> dict[str, object]:
        """What is wrong, without place and remedy, as a message that reports translate."""
        values = {name: _plain(value) for name, value in self.values.items()}
        return {"code": self.code, "say": _escaped(self.what), "values": values}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Fault:
        """The fault that `as_dict` wrote."""
        place = Place(**written["place"]) if written["place"] else None
        return cls.verbatim(
            written["code"], written["what"], place, written["remedy"], written["values"]
        )

    @classmethod
    def verbatim(
        cls, code: str, what: str, place: Place | None, remedy: str, values: Mapping[str, object]
    ) -> Fault:
        """A fault whose words stand already, braces and all."""
        return cls(code, _escaped(what), place, _escaped(remedy), **values)

    def at(self, place: Place) -> Fault:
        """The same fault, at a place."""
        return Fault.verbatim(self.code, self.what, place, self.remedy, self.values)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    return value if isinstance(value, (str, int, float, type(None))) else str(value)


def _escaped(text: str) -> str:
    """A template that says `text`, braces included."""
    return text.replace("{", "{{").replace("}", "}}")


class WelltunedError(Exception):
    """The base of every error this package raises on purpose. Holds every fault that was found."""

    exit_status = 1

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class InputError(WelltunedError):
    """The request cannot be carried out as given."""

    exit_status = 2


class RunFailed(WelltunedError):
    """Training or its proof failed after it had started."""


class NotFinite(RunFailed):
    """A loss or gradient was no number; no step was taken with it."""

    exit_status = 3


class Stopped(WelltunedError):
    """A signal asked the run to stop; the exit status is 128 plus its number."""

    def __init__(self, signal_number: int, remedy: str = "") -> None:
        self.signal_number = signal_number
        self.exit_status = 128 + signal_number
        values = {"number": signal_number, "remedy": remedy}
        super().__init__(
            Fault("run.stopped", "stopped by signal {number}", None, "{remedy}", **values)
        )


class Pruned(WelltunedError):
    """A search ended the run before its time, because others did better by then."""


class Faults:
    """Collects faults. Those that many rows may have are counted once some are spelled out.

    >>> faults = Faults()
    >>> faults.add("data.empty", "the file is empty", Place("train.csv"), "give a file with rows")
    >>> len(faults)
    1
    """

    def __init__(self, shown: int = 10) -> None:
        self._shown = shown
        self._faults: list[Fault] = []
        self._alike: dict[tuple[str, str | None], _Alike] = {}

    def add(
        self,
        code: str,
        what: str,
        place: Place | None = None,
        remedy: str = "",
        /,
        **values: object,
    ) -> None:
        """Record one fault; the arguments are those of `Fault`."""
        self._faults.append(Fault(code, what, place, remedy, **values))

    def add_counted(
        self,
        code: str,
        what: str,
        place: Place | None = None,
        remedy: str = "",
        /,
        **values: object,
    ) -> None:
        """Record a fault of one row of many: of a code and a file, at most `shown` are kept."""
        self.count(Fault(code, what, place, remedy, **values))

    def count(self, fault: Fault) -> None:
        """`add_counted` for a fault that stands already."""
        kind = (fault.code, fault.place.source if fault.place else None)
        alike = self._alike.setdefault(kind, _Alike(fault))
        alike.number += 1
        alike.last = fault
        if alike.number <= self._shown:
            self._faults.append(fault)

    def extend(self, faults: Iterable[Fault]) -> None:
        self._faults.extend(faults)

    def __iter__(self) -> Iterator[Fault]:
        yield from self._faults
        for alike in self._alike.values():
            if alike.number > self._shown:
                yield alike.rest(self._shown)

    def __len__(self) -> int:
        return len(list(iter(self)))

    @property
    def only_of_rows(self) -> bool:
        """Whether every fault is one of a row, so that the other rows can be read."""
        spelled_out = sum(min(alike.number, self._shown) for alike in self._alike.values())
        return spelled_out == len(self._faults)

    def raise_if_any(self) -> None:
        """Raise `InputError` with everything collected so far."""
        if len(self):
            raise InputError(self)


@dataclass
class _Alike:
    """Faults of one code in one file: how many there are, and the last of them."""

    last: Fault
    number: int = 0

    def rest(self, shown: int) -> Fault:
        """One fault for all that are not spelled out."""
        place = Place(self.last.place.source) if self.last.place else None
        more = self.number - shown
        what, remedy = f"and {more:,} more like this", self.last.remedy
        return Fault.verbatim(self.last.code, what, place, remedy, {"more": more})
