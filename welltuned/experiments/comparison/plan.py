"""Comparison plan: all cells and settings, known in full before the first run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from welltuned.data.facts import DataFacts
from welltuned.experiments.comparison.adapted_models import adapted_variants
from welltuned.experiments.comparison.budget import CellBudget
from welltuned.experiments.comparison.cache_key import cell_key
from welltuned.experiments.comparison.cells import Cell, cell_record, plan_cells
from welltuned.experiments.comparison.chosen_models import left_out, notes_of
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.folder import asked_for, splits_of
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.experiments.comparison.parallel import settle_threads
from welltuned.experiments.comparison.rlhf_variant import identity
from welltuned.experiments.comparison.trials import tune
from welltuned.experiments.comparison.variants import Variant
from welltuned.experiments.comparison.worker import requests
from welltuned.experiments.comparison.worker.protocol import StaticSource
from welltuned.runs.code_version import code_version
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import (
    ComparisonRecord,
    ModelRecord,
    Scouted,
    StrategyRecord,
)
from welltuned.schema.messages import render_message
from welltuned.schema.versions import COMPARISON
from welltuned.strategies import default_strategy
from welltuned.training.preparation.data_cache import DataCache


@dataclass
class ComparisonPlan:
    """The cells, and how they stand; written to comparison.json at every change."""

    comparison: Comparison
    config: CompareConfig
    cells: list[Cell]
    board: Board
    record: ComparisonRecord
    command: str | None
    cells_with: Callable[[Sequence[int]], list[Cell]]
    """The cells of all strategies with these seeds."""
    _states: dict[tuple[str, int], CellState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = {
            (row.name, cell.seed): cell for row in self.board.rows for cell in row.cells
        }

    def add_round(self, names: Collection[str]) -> list[Cell]:
        """Cells of these strategies with one seed more than there were."""
        seed = 1 + max(cell.seed for cell in self.cells)
        added = [cell for cell in self.cells_with([seed]) if cell.name in names]
        for cell in added:
            state = self._states[cell.name, seed] = _waiting(cell, self.comparison)
            self.row(cell).cells.append(state)
        self.cells += added
        return added

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
                "model": row.model,
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
    models: Sequence[ModelRecord] = (),
    static: StaticSource | None = None,
) -> ComparisonPlan:
    """Plan the cells, by what is known of them already or by finding it out.

    What is found is written down at once, so that a plan that is stopped goes on. Raises
    `InputError` when a strategy that was named cannot work, or the budget is too small.
    """
    before = comparison.record
    besides = {v.name: identity(v.pipeline, cache) for v in variants if v.pipeline is not None}
    key = _scouting_key(config, variants, facts, besides)
    scouted, absent = _scouted(comparison, config, variants, key, requester)
    possible = [v for v in _without(variants, absent) if v.name not in scouted["impossible"]]
    baselines_key = _baselines_key(variants[0], possible, facts, static)
    record = _record_of(key, config, command, facts, scouted, models, before)
    absent |= _settle(comparison, record, possible, static, baselines_key, requester)
    record["models"] = _told(left_out(models, absent), absent, requester.observer)
    variants, possible = _without(variants, absent), _without(possible, absent)
    _note(comparison, record)
    settled, data = record["settled"], facts.fingerprint
    possible = adapted_variants(possible, comparison, settled, requester)
    spending = {name: CellBudget(**values) for name, values in scouted["spending"].items()}
    tuned = tune(comparison, config, possible, spending, settled, data, cache, requester)
    record["tuned"] = tuned.found
    cells_with = partial(
        plan_cells, comparison, tuned.variants, spending=spending, data=data, besides=besides
    )
    known = before["rows"] if config.is_timed and before.get("key") == key else []
    cells = cells_with(config.seed_list) + _added_before(known, config.seed_list, cells_with)
    impossible = {**scouted["impossible"], **tuned.failed}
    missing, cores = sum(not cell.is_finished for cell in cells), requester.pool.cores
    workers = settle_threads(config, missing, record["settled"], cores)
    board = _board(comparison, variants, impossible, cells, workers, scouted["metric"])
    plan = ComparisonPlan(comparison, config, cells, board, record, command, cells_with)
    _recall(plan)
    plan.write("running" if any(not cell.is_finished for cell in cells) else "finished")
    return plan


def _record_of(
    key: str,
    config: CompareConfig,
    command: str | None,
    facts: DataFacts,
    scouted: Scouted,
    models: Sequence[ModelRecord],
    before: ComparisonRecord,
) -> ComparisonRecord:
    """What is known once it is scouted, and what an earlier process has left."""
    return {
        "schema_version": COMPARISON.version,
        "key": key,
        "asked": asked_for(config),
        "report": config.report.model_dump(mode="json"),
        "command": command or before.get("command"),
        "code": code_version(),
        "data": {"fingerprint": facts.fingerprint, "splits": splits_of(facts)},
        "metric": scouted["metric"],
        "scouted": scouted,
        "models": list(models),
        "settled": before.get("settled", {}),
        "tuned": {},
        "state": "running",
        "rows": before.get("rows", []),
    }


def _added_before(
    rows: Sequence[StrategyRecord],
    asked: Sequence[int],
    cells_with: Callable[[Sequence[int]], list[Cell]],
) -> list[Cell]:
    """The cells that an earlier process added to those that are asked for."""
    added = {(row["name"], cell["seed"]) for row in rows for cell in row["cells"]}
    seeds = sorted({seed for _, seed in added} - {*asked})
    return [cell for cell in cells_with(seeds) if (cell.name, cell.seed) in added]


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


def _scouted(
    comparison: Comparison,
    config: CompareConfig,
    variants: list[Variant],
    key: str,
    requester: requests.Requester,
) -> tuple[Scouted, requests.Missing]:
    """What is known of these variants, or is found now; a model that was missing may be here."""
    before = comparison.record
    if before.get("key") == key and not before["scouted"].get("missing"):
        return before["scouted"], {}
    return requests.request_feasibility(comparison, config, variants, requester)


def _settle(
    comparison: Comparison,
    record: ComparisonRecord,
    variants: list[Variant],
    static: StaticSource | None,
    key: str,
    requester: requests.Requester,
) -> requests.Missing:
    """Note what is settled for the cells of each model; returns the models that do not load."""
    if record["settled"].get("key") == key:
        return {}
    _note(comparison, record)
    settled, unloaded = requests.request_baselines(comparison, variants, static, requester)
    record["settled"] = settled if unloaded else {**settled, "key": key}
    return unloaded


def _without(variants: Sequence[Variant], absent: requests.Missing) -> list[Variant]:
    """Those whose models can be had."""
    return [variant for variant in variants if variant.model_label not in absent]


def _told(
    records: list[ModelRecord], absent: requests.Missing, observer: ComparisonObserver
) -> list[ModelRecord]:
    """The records, once it is told which models turned out to be missing."""
    for note in notes_of(record for record in records if record["label"] in absent):
        observer.noted(render_message(note))
    return records


def _scouting_key(
    config: CompareConfig,
    variants: list[Variant],
    facts: DataFacts,
    besides: dict[str, list[Any]],
) -> str:
    """What the feasibility check depends on."""
    budget = config.budget
    asked = [[v.name, v.config.model_dump(mode="json", exclude={"report"})] for v in variants]
    spending = [
        budget.model_dump() if budget else None,
        (len(config.seed_list), config.tune) if config.is_timed else None,
    ]
    pipelines = [besides.get(variant.name, variant.impossible) for variant in variants]
    return cell_key(variants[0].config, facts.fingerprint, asked, spending, pipelines)


def _baselines_key(
    first: Variant, possible: list[Variant], facts: DataFacts, static: StaticSource | None
) -> str:
    """What the baselines depend on."""
    plain = first.config.model_copy(update={"strategy": default_strategy()})
    titles = list(dict.fromkeys(variant.config.model.title for variant in possible))
    several = [titles] if len(titles) > 1 else []
    return cell_key(plain, facts.fingerprint, *several, *([static] if static else []))


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
        states = [_waiting(cell, comparison) for cell in own]
        reason, model = impossible.get(variant.name), variant.model_label
        rows.append(StrategyRow(variant.name, variant.slug, states, reason, model))
    return Board(rows, metric, workers)


def _waiting(cell: Cell, comparison: Comparison) -> CellState:
    return CellState(cell.seed, str(cell.run.folder.relative_to(comparison.folder)))
