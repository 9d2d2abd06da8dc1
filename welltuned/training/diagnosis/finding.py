"""Finding: one pathology, its evidence and what to try."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import cast

from welltuned.runs.results_schema import Diagnosis, FindingRecord, Pathology
from welltuned.schema.messages import Message, render_message

Fault = Pathology
HEALTHY = "healthy"


@dataclass(frozen=True)
class Finding:
    """One pathology: its evidence, and what to try."""

    fault: Fault
    evidence: Message
    advice: Message
    command: str

    def as_dict(self) -> FindingRecord:
        return cast(FindingRecord, asdict(self))

    @property
    def lines(self) -> list[str]:
        """For people: what is seen, and what to try."""
        return [
            f"{self.fault}: {render_message(self.evidence)}",
            f"try {render_message(self.advice)}: {self.command}",
        ]


def verdict(finding: Finding | None) -> Diagnosis:
    """What results.json keeps: the fault in a word, or `healthy`, and the finding."""
    return {
        "verdict": finding.fault if finding else HEALTHY,
        "finding": finding.as_dict() if finding else None,
    }


def finding_lines(diagnosis: Diagnosis) -> list[str]:
    """What results.json keeps, as lines for people."""
    finding = diagnosis["finding"]
    return Finding(**finding).lines if finding else [diagnosis["verdict"]]
