"""Comparison plan: all cells and settings, known in full before the first run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from welltuned.data.facts import DataFacts
from welltuned.experiments.comparison.budget import CellBudget
from welltuned.experiments.comparison.cache_key import cell_key
from welltuned.experiments.comparison.cells import Cell, cell_record, plan_cells
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.folder import asked_for, splits_of
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    StrategyRow,
)
from welltuned.experiments.comparison.parallel import settle_threads
from welltuned.experiments.comparison.rlhf_variant import identity
from welltuned.experiments.comparison.trials import tune
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker import requests
from welltuned.runs.code_version import code_version
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonRecord, StrategyRecord
from welltuned.schema.versions import COMPARISON
from welltuned.strategies import default_strategy
from welltuned.training.data_cache import DataCache


@dataclass
class ComparisonPlan:
    """The cells, and how they stand; written to comparison.json at every change."""

    comparison: Comparison
    config: CompareConfig
    cells: list[Cell]
    board: Board
    record: ComparisonRecord
    command: str | None
    _states: dict[tuple[str, int], CellState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = {
            (row.name, cell.seed): cell for row in self.board.rows for cell in row.cells
        }

    def state(self, cell: Cell) -> CellState:
        """How a cell stands."""
        return self._states[cell.name, cell.seed]

    def row(self, cell: Cell) -> StrategyRow:
        """The strategy a cell belongs to."""
        return next(row for row in self.board.rows if row.name == cell.name)

    def score(self, cell: Cell) -> float | None:
        """The headline score of a finished cell."""
        return cell.run.results["test"].get(self.board.metric)

    def write(self, state: str) -> None:
        """Say how the comparison stands."""
        rows: list[StrategyRecord] = [
            {
                "name": row.name,
                "slug": row.slug,
                "impossible": row.impossible,
                "cells": [
                    {
                        "seed": cell.seed,
                        "folder": cell.folder,
                        "state": cell.state,
                        "seconds": cell.seconds,
                        "error": cell.error,
                    }
                    for cell in row.cells
                ],
            }
            for row in self.board.rows
        ]
        self.comparison.write("comparison.json", {**self.record, "state": state, "rows": rows})


# --- The plan ----------------------------------------------------------------------


def plan_comparison(
    comparison: Comparison,
    config: CompareConfig,
    variants: list[Variant],
    facts: DataFacts,
    cache: DataCache,
    requester: requests.Requester,
    command: str | None,
) -> ComparisonPlan:
    """Plan the cells, by what is known of them already or by finding it out.

    What is found is written down at once, so that a plan that is stopped goes on. Raises
    `InputError` when a strategy that was named cannot work, or the budget is too small.
    """
    before = comparison.record
    besides = {v.name: identity(v.pipeline, cache) for v in variants if v.pipeline is not None}
    key, baselines_key = _keys(config, variants, facts, besides)
    if before.get("key") == key:
        scouted = before["scouted"]
    else:
        scouted = requests.request_feasibility(comparison, config, variants, requester)
    record: ComparisonRecord = {
        "schema_version": COMPARISON.version,
        "key": key,
        "asked": asked_for(config),
        "report": config.report.model_dump(mode="json"),
        "command": command or before.get("command"),
        "code": code_version(),
        "data": {"fingerprint": facts.fingerprint, "splits": splits_of(facts)},
        "metric": scouted["metric"],
        "scouted": scouted,
        "settled": before.get("settled", {}),
        "tuned": {},
        "state": "running",
        "rows": before.get("rows", []),
    }
    possible = [v for v in variants if v.name not in scouted["impossible"]]
    if record["settled"].get("key") != baselines_key:
        _note(comparison, record)
        settled = requests.request_baselines(comparison, possible[0], requester)
        record["settled"] = {**settled, "key": baselines_key}
    _note(comparison, record)
    spending = {name: CellBudget(**values) for name, values in scouted["spending"].items()}
    settled, data = record["settled"], facts.fingerprint
    tuned = tune(comparison, config, possible, spending, settled, data, cache, requester)
    record["tuned"] = tuned.found
    cells = plan_cells(
        comparison, tuned.variants, config.seed_list, spending, facts.fingerprint, besides
    )
    impossible = {**scouted["impossible"], **tuned.failed}
    missing, cores = sum(not cell.is_finished for cell in cells), requester.pool.cores
    workers = settle_threads(config, missing, record["settled"], cores)
    board = _board(comparison, variants, impossible, cells, workers, scouted["metric"])
    plan = ComparisonPlan(comparison, config, cells, board, record, command)
    _recall(plan)
    plan.write("running" if any(not cell.is_finished for cell in cells) else "finished")
    return plan


def _recall(plan: ComparisonPlan) -> None:
    """What finished cells have come to."""
    for cell in plan.cells:
        if cell.is_finished:
            state = plan.state(cell)
            state.state, state.score = "finished", plan.score(cell)
            state.seconds = cell_record(cell.run)["cost"]["seconds"]


def _note(comparison: Comparison, record: ComparisonRecord) -> None:
    """Say that a comparison was begun here, and what is known so far."""
    comparison.write("comparison.json", record)


def _keys(
    config: CompareConfig,
    variants: list[Variant],
    facts: DataFacts,
    besides: dict[str, list[Any]],
) -> tuple[str, str]:
    """What the feasibility check and the baselines depend on."""
    first, budget = variants[0].config, config.budget
    asked = [variant.config.model_dump(mode="json", exclude={"report"}) for variant in variants]
    timed = budget is not None and budget.time is not None
    spending = [
        budget.model_dump() if budget else None,
        (len(config.seed_list), config.tune) if timed else None,
    ]
    pipelines = [besides.get(variant.name, variant.impossible) for variant in variants]
    plain = first.model_copy(update={"strategy": default_strategy()})
    return (
        cell_key(first, facts.fingerprint, asked, spending, pipelines),
        cell_key(plain, facts.fingerprint),
    )


def _board(
    comparison: Comparison,
    variants: list[Variant],
    impossible: dict[str, str],
    cells: list[Cell],
    workers: int,
    metric: str,
) -> Board:
    rows = []
    for variant in variants:
        own = [cell for cell in cells if cell.name == variant.name]
        states = [
            CellState(cell.seed, str(cell.run.folder.relative_to(comparison.folder)))
            for cell in own
        ]
        rows.append(StrategyRow(variant.name, variant.slug, states, impossible.get(variant.name)))
    return Board(rows, metric, workers)
