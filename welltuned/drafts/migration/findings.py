"""What became of each key of a config that is carried over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from welltuned.errors import Fault, Place

Outcome = Literal["carried", "nothing", "left"]
"""Carried over; nothing had to be; or not carried over, for a reason."""


@dataclass(frozen=True)
class KeyFinding:
    """One key of another library's config, and what became of it."""

    key: str
    """As it is called there."""
    value: object
    place: Place | None
    """Where it stands; None for what stands nowhere, for it is that library's default."""
    outcome: Outcome
    to: str | None = None
    """The key here."""
    ours: object = None
    """Its value here."""
    note: str = ""
    """Why it is left, or what differs."""

    @property
    def is_default(self) -> bool:
        return self.place is None

    def as_dict(self) -> dict[str, object]:
        """Everything as plain data, for JSON."""
        return {
            "key": self.key,
            "value": self.value,
            "place": None if self.place is None else str(self.place),
            "outcome": self.outcome,
            "to": self.to,
            "ours": self.ours,
            "note": self.note,
        }


@dataclass(frozen=True)
class Migration:
    """A config carried over: its values here, and how each came about."""

    library: str
    """What people call the library that it was written for."""
    file: str
    findings: tuple[KeyFinding, ...]
    values: Mapping[str, Any]
    """The config here."""
    text: str
    """The same as a commented file."""
    missing: tuple[Fault, ...]
    """Why it cannot be run as it is; none where it can."""

    def count(self, outcome: Outcome) -> int:
        """How many keys that somebody wrote came to this."""
        return sum(one.outcome == outcome and not one.is_default for one in self.findings)
