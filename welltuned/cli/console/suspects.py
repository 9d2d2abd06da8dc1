"""Labels to check and texts to label next, as plain lines for standard output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from welltuned.runs.suspects_schema import Label, SuspectsFile, TwinPair

_SHOWN = 10
_WIDTH = 72


def suspects_lines(found: SuspectsFile, folder: Path) -> list[str]:
    """The first labels to check, where all of them are, and how to go on."""
    total, near = len(found["suspects"]), len(found["near_duplicates"])
    lines = [
        f"{total:,} of {found['examples']:,} labels are confidently believed to be others; about "
        f"{found['expected']:,.0f} are wrong, as estimated.",
        f"What judged them has {found['metric']} {found['score']:.3f} on labels as they are, out "
        "of its training data: its own mistakes are among these.",
        "",
    ]
    for one in found["suspects"][:_SHOWN]:
        told = f"{_said(one['label'])} → {_said(one['suggested'])}"
        lines.append(f"{one['probability']:>6.1%}  {told:24}  {_brief(one['inputs'])}")
    lines += _twin_lines(found["near_duplicates"][:_SHOWN], near)
    lines += ["", f"table       {folder / 'suspects.csv'}", f"report      {folder / 'report.html'}"]
    if found["command"]:
        lines += ["Write the right labels into the table (a blank one leaves its text out), then:"]
        lines += [f"  {found['command']}"]
    return lines


def _twin_lines(pairs: Sequence[TwinPair], total: int) -> list[str]:
    if not pairs:
        return []
    lines = ["", f"{total:,} pairs of near-duplicates have different labels:"]
    for pair in pairs:
        told = f"{_said(pair['one']['label'])} / {_said(pair['other']['label'])}"
        lines.append(f"{pair['similarity']:>6.0%}  {told:24}  {_brief(pair['one']['inputs'])}")
    return lines


def next_lines(rows: Sequence[Mapping[str, object]], candidates: int, file: str) -> list[str]:
    """The first texts to label, and how to go on."""
    told = {"id", "label", "prediction", "probability"}
    lines = [f"{len(rows):,} of {candidates:,} texts, in the order in which to label them:", ""]
    for row in rows[:_SHOWN]:
        inputs = {role: str(value) for role, value in row.items() if role not in told}
        lines.append(f"{_share(row)}  {row['prediction']!s:24}  {_brief(inputs)}")
    return [
        *lines,
        "",
        f"table       {file}",
        "Fill in its column label, and add its rows to the training data.",
    ]


def _share(row: Mapping[str, object]) -> str:
    probability = row["probability"]
    assert isinstance(probability, float)
    return f"{probability:>6.1%}"


def _said(label: Label) -> str:
    return label if isinstance(label, str) else ", ".join(label) or "–"


def _brief(inputs: Mapping[str, str]) -> str:
    """The beginning of what was read, on one line."""
    text = " ".join(" / ".join(inputs.values()).split())
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
