"""Labels to check: their report, and what a comparison's cells say of the test split's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from welltuned.evaluation.label_check import averaged, find_suspects
from welltuned.metrics import Row, family_of
from welltuned.reports.page import metric_name, render_page
from welltuned.reports.translations import Translator
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonRow
from welltuned.runs.folder import write_atomically
from welltuned.runs.suspects_schema import Suspect, read_suspects

_SHOWN = 20


class ShownSuspects(TypedDict):
    """The first labels to check of a comparison's test split."""

    shown: Sequence[Suspect]
    total: int
    """How many there are."""
    judges: int
    """How many runs have judged them."""
    command: str
    """What writes all of them down."""


def write_suspects_report(folder: Path, language: str | None = None) -> Path:
    """Write `report.html` into a folder of labels to check and return its path.

    In the language of its config, unless another is asked for.
    """
    found = read_suspects(folder)
    language = language or found["language"]
    _ = Translator(language)
    content = {
        "name": folder.name,
        "found": found,
        "suspects": found["suspects"][:_SHOWN],
        "twins": found["near_duplicates"][:_SHOWN],
        "metric_name": _(metric_name(found["metric"])),
        "table": folder / "suspects.csv",
    }
    file = folder / "report.html"
    write_atomically(file, render_page("suspects.html.j2", content, language))
    return file


# --- What cells have judged already ----------------------------------------------------


def judges_of(comparison: Comparison) -> dict[str, Run]:
    """The finished runs of a comparison's strategies, by the names that people know them by."""
    rows = comparison.results.get("rows", [])
    return _judges(comparison, [row for row in rows if row["kind"] == "strategy"])


def judged_rows(judges: Mapping[str, Run]) -> list[Row]:
    """Each example that runs have answered and not learned from, its probabilities averaged.

    None where they do not say how probable each label is.
    """
    first = next(iter(judges.values()), None)
    if first is None or not family_of(first.read("data.json")["task"]).has_label_probabilities:
        return []
    rows = averaged(run.read_lines("predictions.jsonl") for run in judges.values())
    return [row for row in rows if _is_known(row)]


def _is_known(row: Row) -> bool:
    """Whether its label is one that the model can answer; a test split may have others."""
    labels = row["label"] if isinstance(row["label"], list) else [row["label"]]
    return all(label in row["probabilities"] for label in labels)


def shown_suspects(
    comparison: Comparison, strategies: Sequence[ComparisonRow]
) -> ShownSuspects | None:
    """What a comparison's report shows of labels to check; None where there are none."""
    judges = _judges(comparison, strategies)
    suspects, _ = find_suspects(judged_rows(judges))
    if not suspects:
        return None
    return {
        "shown": suspects[:_SHOWN],
        "total": len(suspects),
        "judges": len(judges),
        "command": f"welltuned data suspects {comparison.folder}",
    }


def _judges(comparison: Comparison, strategies: Sequence[ComparisonRow]) -> dict[str, Run]:
    return {
        f"{row['name']}, seed {seed}": comparison.cell(row["slug"], seed)
        for row in strategies
        for seed in row["seeds"]
    }
