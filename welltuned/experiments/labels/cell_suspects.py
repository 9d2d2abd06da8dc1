"""Labels to check of a finished run or comparison: of its test split, which no run learned from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from welltuned.errors import Fault, InputError, Place
from welltuned.evaluation.label_check import find_suspects
from welltuned.experiments.labels.suspects_folder import (
    command_to_correct,
    twins_among,
    write_suspects,
)
from welltuned.metrics import Row, family_of, score
from welltuned.reports.suspects import judged_rows, judges_of
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.folder import next_free
from welltuned.runs.suspects_schema import SuspectsFile


@dataclass(frozen=True)
class _Asked:
    """A folder whose runs have judged labels, and what their config says."""

    folder: Path
    judges: Mapping[str, Run]
    config: Mapping[str, Any]
    trained_by: Sequence[str]
    """The command that trains as these runs did, as words; none where none is recommended."""


def check_labels_of_folder(folder: Path) -> Path:
    """Write the labels to check into a folder within that of the run or comparison, its result.

    Raises `InputError` where there are no finished runs that judge labels.
    """
    asked = _asked(folder)
    rows = judged_rows(asked.judges)
    if not rows:
        raise InputError(
            Fault(
                "suspects.nothing_judged",
                "no finished run here says how probable each label is",
                Place(str(folder)),
                "give a config, or wait for a run of a task with classes",
            )
        )
    output = next_free(folder, "suspects")
    keys = asked.config["task"].get("label_names") or {}
    written = {name: key for key, name in keys.items()}
    write_suspects(output, _found(asked, rows, output), written)
    return output


def _asked(folder: Path) -> _Asked:
    if not Comparison.is_at(folder):
        run = Run.open(folder)
        again = ["welltuned", "train", str(folder / "config.yaml")]
        return _Asked(folder, {run.name: run} if run.results else {}, run.config, again)
    comparison = Comparison.open(folder)
    recommended = comparison.results.get("recommendation", {}).get("command", "")
    asked = comparison.record["asked"]
    return _Asked(folder, judges_of(comparison), asked, shlex.split(recommended))


def _found(asked: _Asked, rows: list[Row], output: Path) -> SuspectsFile:
    judge = next(iter(asked.judges.values()))
    family = family_of(judge.read("data.json")["task"])
    suspects, expected = find_suspects(rows)
    scores = score(family.from_rows(rows, list(rows[0]["probabilities"])))
    data = asked.config["data"]
    near = twins_among(rows, data.get("compare_as", "text"))
    train = asked.trained_by, data.get("corrections") or [], output, asked.folder.name
    may_train = asked.trained_by and (suspects or near)
    return {
        "data": data["train"],
        "model": asked.config["model"]["name"],
        "language": asked.config.get("report", {}).get("language", "en"),
        "judged_by": list(asked.judges),
        "folds": None,
        "splits": [judge.judged],
        "examples": len(rows),
        "metric": family.default_metric,
        "score": float(scores[family.default_metric]),
        "expected": expected,
        "suspects": suspects,
        "near_duplicates": near,
        "command": command_to_correct(*train) if may_train else None,
    }
