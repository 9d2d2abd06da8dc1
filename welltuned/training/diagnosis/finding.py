"""Finding: one pathology, its evidence and what to try."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from welltuned.schema.messages import Message, render_message

Fault = Literal["diverged", "collapsed", "overfitted", "cut short", "underfitted", "plateaued"]
HEALTHY = "healthy"


@dataclass(frozen=True)
class Finding:
    """One fault: what shows it, and what to try."""

    fault: Fault
    evidence: Message
    advice: Message
    command: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def lines(self) -> list[str]:
        """For people: what is seen, and what to try."""
        return [
            f"{self.fault}: {render_message(self.evidence)}",
            f"try {render_message(self.advice)}: {self.command}",
        ]


def verdict(finding: Finding | None) -> dict[str, Any]:
    """What results.json keeps: the fault in a word, or `healthy`, and the finding."""
    return {
        "verdict": finding.fault if finding else HEALTHY,
        "finding": finding.as_dict() if finding else None,
    }


def finding_lines(diagnosis: dict[str, Any]) -> list[str]:
    """What results.json keeps, as lines for people."""
    finding = diagnosis["finding"]
    return Finding(**finding).lines if finding else [diagnosis["verdict"]]
