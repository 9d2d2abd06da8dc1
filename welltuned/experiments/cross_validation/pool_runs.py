"""What the runs of all folds come to together, in files of the names and meanings of a run's own.

predictions.jsonl   the answers of every fold's run to its fold, with `fold`
results.json        their scores together; of all else the mean over folds, of memory the most
data.json           the data as the first fold has them
environment.json    that of the first fold
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from welltuned.metrics import Row, Rows, Scores, family_of
from welltuned.metrics.folds import FOLD, pooled_scores, training_deviations
from welltuned.runs import Run
from welltuned.runs.folder import START
from welltuned.runs.results_schema import (
    CrossValidation,
    ProofRecord,
    RunResults,
    TrainingProgress,
)

Costs = Mapping[str, Any]
"""What a run took, by name."""
TaskFacts = Mapping[str, Any]
"""What data.json tells of the task."""


def write_whole(run: Run, folds: Sequence[Run], final: Run | None, before: Sequence[Costs]) -> None:
    """Write these files; `before` is what the runs took that earlier processes have finished."""
    data = folds[0].read("data.json")
    rows = pooled_rows(folds)
    run.write_lines("predictions.jsonl", rows)
    run.write("data.json", data)
    environment = folds[0].read("environment.json")
    run.write("environment.json", {**environment, "command": run.read(START)["command"]})
    runs = [*folds, *([final] if final else [])]
    whole = _whole(run, rows, folds, final, data["task"])
    results = _results([fold.results for fold in folds], [one.results for one in runs])
    earlier = _before_resuming([one.results["cost"] for one in runs], before)
    results["cost"] |= {"before_resuming": earlier} if earlier else {}
    diagnosed = {"diagnosis": final.results["diagnosis"]} if final else {}
    test = pooled_test(rows, folds, data["task"])
    run.write("results.json", {"test": test, **results, **diagnosed, "cross_validation": whole})


def pooled_rows(folds: Sequence[Run]) -> list[Row]:
    """The answers of all folds, a fold after the other, each with its fold."""
    return [
        {**row, FOLD: number}
        for number, fold in enumerate(folds)
        for row in fold.read_lines("predictions.jsonl")
    ]


def pooled_test(rows: Rows, folds: Sequence[Run], task: TaskFacts) -> Scores:
    """The scores of these answers together."""
    by_fold = [fold.results["test"] for fold in folds]
    return pooled_scores(family_of(task), list(task.get("labels", [])), rows, by_fold)


def _whole(
    run: Run, rows: Rows, folds: Sequence[Run], final: Run | None, task: TaskFacts
) -> CrossValidation:
    sizes = np.bincount([row[FOLD] for row in rows], minlength=len(folds)).tolist()
    every = [*folds, *([final] if final else [])]
    return {
        "folds": [
            {
                "run": str(fold.folder.relative_to(run.folder)),
                "examples": size,
                "scores": _numbers(fold.results["test"]),
            }
            for fold, size in zip(folds, sizes, strict=True)
        ],
        "examples": len(rows),
        "training_deviation": training_deviations(
            family_of(task), list(task.get("labels", [])), rows
        ),
        "train_seconds": sum(one.results["cost"]["train_seconds"] for one in every),
        "final": str(final.folder.relative_to(run.folder)) if final else None,
    }


def _results(folds: Sequence[RunResults], every: Sequence[RunResults]) -> dict[str, Any]:
    """Means over folds; of every run the proof, the phases and the most memory."""
    first = folds[0]
    names = [name for name in first["baselines"] if all(name in r["baselines"] for r in folds)]
    kept = [fold["retention"] for fold in folds if "retention" in fold]
    return {
        "train": _averaged([_numbers(fold.get("train", {})) for fold in folds]),
        "validation": _averaged([_numbers(fold["validation"]) for fold in folds]),
        "baselines": {
            name: _averaged([_numbers(fold["baselines"][name]) for fold in folds]) for name in names
        },
        "parameters": first["parameters"],
        "cost": _cost([fold["cost"] for fold in folds], [one["cost"] for one in every]),
        "training": _training([fold["training"] for fold in folds]),
        "choices": first["choices"],
        "metric": first["metric"],
        "proof": _proof([one["proof"] for one in every]),
        **({"retention": _averaged(kept)} if kept else {}),
        **({"probe": first["probe"]} if "probe" in first else {}),
    }


def _cost(folds: Sequence[Costs], every: Sequence[Costs]) -> dict[str, Any]:
    """What one training takes; but the phases of all runs together."""
    seconds: dict[str, float] = {}
    for one in every:
        for name, taken in one.get("phases", {}).items():
            seconds[name] = seconds.get(name, 0.0) + taken
    held = "peak_memory_bytes", "artifact_bytes", "memory_at_start_bytes"
    most = {name: max(fold.get(name, 0) for fold in folds) for name in held}
    mean = _averaged([{k: v for k, v in fold.items() if isinstance(v, float)} for fold in folds])
    return {**mean, **most, "phases": seconds}


def _before_resuming(every: Sequence[Costs], before: Sequence[Costs]) -> dict[str, float]:
    """What processes before this one took; empty where there were none."""
    parts = [*before, *(one["before_resuming"] for one in every if "before_resuming" in one)]
    names = "seconds", "cpu_seconds"
    return {name: sum(part[name] for part in parts) for name in names} if parts else {}


def _training(folds: Sequence[TrainingProgress]) -> TrainingProgress:
    progress: TrainingProgress = {
        "steps": round(np.mean([fold["steps"] for fold in folds])),
        "epochs": float(np.mean([fold.get("epochs", 0.0) for fold in folds])),
        "best_step": None,
        "stopped_early": any(fold.get("stopped_early", False) for fold in folds),
    }
    skipped = sum(fold.get("skipped_steps", 0) for fold in folds)
    return {**progress, "skipped_steps": skipped} if skipped else progress


def _proof(every: Sequence[ProofRecord]) -> ProofRecord:
    """That of every run at once: what was counted is added up."""
    return {
        "frozen_weights": sum(one["frozen_weights"] for one in every),
        "frozen_moved": sum(one["frozen_moved"] for one in every),
        "trainable_weights": sum(one["trainable_weights"] for one in every),
        "trainable_moved": sum(one["trainable_moved"] for one in every),
        "all_finite": all(one["all_finite"] for one in every),
        "reloaded_examples": sum(one["reloaded_examples"] for one in every),
        "reloaded_difference": max(one["reloaded_difference"] for one in every),
    }


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def _averaged(parts: Sequence[Any]) -> Any:
    """The mean of what all parts have, by key or place; of what is no number, that of the first."""
    first = parts[0]
    if all(isinstance(part, list) for part in parts) and len({len(part) for part in parts}) == 1:
        return [_averaged(items) for items in zip(*parts, strict=True)]
    if all(isinstance(part, dict) for part in parts):
        common = [key for key in first if all(key in part for part in parts)]
        return {key: _averaged([part[key] for part in parts]) for key in common}
    if all(isinstance(part, float) for part in parts):
        return float(np.mean(parts))
    return first
