"""Tables of a comparison: scores of each class, and the examples that are answered differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from welltuned.metrics import Predictions
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonRow
from welltuned.runs.results_schema import ClassScores, Scores

_DISPUTED = 20


def per_class(comparison: Comparison, strategies: Sequence[ComparisonRow]) -> list[dict[str, Any]]:
    """Each class's F1 by strategy, the mean over seeds, with how far it is below the best."""
    tables: dict[str, list[dict[str, ClassScores]]] = {}
    for row in strategies:
        cells = [comparison.cell(row["slug"], seed) for seed in row["seeds"]]
        tests: list[Scores] = [cell.results["test"] for cell in cells]
        tables[row["name"]] = [t.get("per_type") or t.get("per_class") or {} for t in tests]
    classes = list(dict.fromkeys(name for ts in tables.values() for t in ts for name in t))
    found = []
    for name in classes:
        values = {
            strategy: sum(t[name]["f1"] for t in ts if name in t) / len(ts)
            for strategy, ts in tables.items()
        }
        best = max(values.values())
        shown = [{"f1": f1, "below": best - f1} for f1 in values.values()]
        support = max(t[name]["support"] for ts in tables.values() for t in ts if name in t)
        found.append({"name": name, "cells": shown, "support": support})
    return found


def disputed(
    comparison: Comparison, strategies: Sequence[ComparisonRow], family: type[Predictions]
) -> list[dict[str, Any]]:
    """The test examples that strategies answer most differently, with each one's answers."""
    answers: dict[str, list[list[dict[str, Any]]]] = {
        row["name"]: [
            list(comparison.cell(row["slug"], seed).read_lines("predictions.jsonl"))
            for seed in row["seeds"]
        ]
        for row in strategies
    }
    rows = next(iter(answers.values()), [[]])[0]
    if len(answers) < 2 or not rows or not family.has_answers:
        return []
    number = family.are_numbers
    found: list[dict[str, Any]] = []
    for i, row in enumerate(rows):
        said = {name: [seed[i]["prediction"] for seed in seeds] for name, seeds in answers.items()}
        dispute = _number_dispute(said) if number else _dispute(said, row["label"])
        if dispute > 0:
            shown = {name: _told(predictions, number) for name, predictions in said.items()}
            found.append({"row": row, "dispute": dispute, "said": shown, "label": _label(row)})
    return sorted(found, key=lambda item: -float(item["dispute"]))[:_DISPUTED]


def _dispute(said: dict[str, list[Any]], label: Any) -> float:
    """0 where all strategies are equally often right, 1 where half of them always is."""
    rates = [
        sum(p == label for p in predictions) / len(predictions) for predictions in said.values()
    ]
    mean = sum(rates) / len(rates)
    return 4 * sum((rate - mean) ** 2 for rate in rates) / len(rates)


def _number_dispute(said: dict[str, list[float]]) -> float:
    means = [sum(predictions) / len(predictions) for predictions in said.values()]
    return max(means) - min(means)


def _told(predictions: Sequence[Any], number: bool) -> str:
    """One strategy's answers over seeds: `positive`, or `positive 2, negative 1`."""
    if number:
        return f"{sum(predictions) / len(predictions):.3g}"
    counts = Counter(", ".join(p) if isinstance(p, list) else str(p) for p in predictions)
    if len(counts) == 1:
        return next(iter(counts)) or "–"
    return ", ".join(f"{answer or '–'} {count}" for answer, count in counts.most_common())


def _label(row: dict[str, Any]) -> str:
    label = row["label"]
    if isinstance(label, float):
        return f"{label:.4g}"
    return ", ".join(label) if isinstance(label, list) else str(label)
