"""Comparison folder: run folders, and their common results.

comparison.json     what was asked, what was settled for all, and how every cell stands
results.json        the table, the statistics and the recommendation
recommended.yaml    the config that trains the recommended strategy on all data
report.html         one file, no network
baselines/NAME/     predictions.jsonl and results.json of what needs no tuning
cells/NAME/seed-N/  ordinary run folders, each with a cell.json: what it was made from, its cost
data/               while cells run, splits and tokens for all of them; journal.jsonl stays
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from welltuned.errors import Fault, InputError, Place
from welltuned.runs.comparison_schema import ComparisonRecord, ComparisonResults
from welltuned.runs.folder import Run
from welltuned.schema.versions import COMPARISON, COMPARISON_RESULTS


@dataclass(frozen=True)
class Comparison:
    """A comparison, by its folder."""

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Comparison:
        """An existing comparison. Raises `InputError` when the folder is none."""
        path = Path(folder).expanduser()
        if not cls.is_at(path):
            raise InputError(
                Fault(
                    "run.not_a_comparison",
                    "not the folder of a comparison",
                    Place(str(path)),
                    "check the path",
                )
            )
        return cls(path)

    @staticmethod
    def is_at(folder: Path) -> bool:
        """Whether a folder is a comparison's."""
        return (folder / "comparison.json").is_file()

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def data(self) -> Path:
        """Where its processes share what was read and tokenised."""
        return self.folder / "data"

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @property
    def record(self) -> ComparisonRecord:
        """comparison.json; empty before it is written.

        Raises `InputError` when a newer version has written it.
        """
        file = self.folder / "comparison.json"
        return cast(ComparisonRecord, COMPARISON.read(file) if file.exists() else {})

    @property
    def results(self) -> ComparisonResults:
        """results.json; empty when nothing has finished yet.

        Raises `InputError` when a newer version has written it.
        """
        file = self.folder / "results.json"
        values = COMPARISON_RESULTS.read(file) if file.exists() else {}
        return cast(ComparisonResults, values)

    def cell(self, slug: str, seed: int) -> Run:
        """The run of a strategy with a seed, which may not be there yet."""
        return Run(self.folder / "cells" / slug / f"seed-{seed}")

    def baseline(self, name: str) -> Run:
        """The folder of a baseline: results and predictions only."""
        return Run(self.folder / "baselines" / name)

    def write(self, name: str, values: Mapping[str, object]) -> None:
        """A whole file, as YAML or JSON by its suffix."""
        Run(self.folder).write(name, values)

    def resumed_otherwise(self) -> InputError:
        """What is said to somebody who would resume it like a run."""
        return InputError(
            Fault(
                "compare.resumed_otherwise",
                "a comparison goes on by the command that began it",
                Place(str(self.folder)),
                "{command}",
                command=self.record.get("command") or "`welltuned compare`, as before",
            )
        )


def list_comparisons(folder: Path) -> list[Comparison]:
    """All comparisons at or below a folder, oldest first."""
    found = folder.rglob("comparison.json")
    files = sorted(found, key=lambda file: (file.stat().st_mtime, str(file)))
    return [Comparison(file.parent) for file in files]
