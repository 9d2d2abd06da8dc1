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


def verdict(finding: Finding | None, optimum: Message | None = None) -> Diagnosis:
    """What results.json keeps: the fault in a word, or `healthy`, and the finding.

    `optimum` is what there is to tell of a healthy run that has no curve.
    """
    if finding is not None:
        return {"verdict": finding.fault, "finding": finding.as_dict()}
    healthy: Diagnosis = {"verdict": HEALTHY, "finding": None}
    return healthy if optimum is None else {**healthy, "evidence": optimum}


def finding_lines(diagnosis: Diagnosis) -> list[str]:
    """What results.json keeps, as lines for people."""
    finding = diagnosis["finding"]
    if finding is not None:
        return Finding(**finding).lines
    evidence = diagnosis.get("evidence")
    told = f": {render_message(evidence)}" if evidence else ""
    return [f"{diagnosis['verdict']}{told}"]
