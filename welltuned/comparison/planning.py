"""What a comparison will do, known in full before the first cell."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from welltuned.comparison.budget import Found, Spending, spend
from welltuned.comparison.cells import Cell, cell_record, plan_cells, settle
from welltuned.comparison.config import CompareConfig
from welltuned.comparison.fingerprints import code_version, fingerprint
from welltuned.comparison.folders import asked_for, splits_of
from welltuned.comparison.observer import Board, CellState, ComparisonObserver, Row
from welltuned.comparison.process import fault_from
from welltuned.comparison.variants import Variant
from welltuned.comparison.worker import Event, Worker
from welltuned.config import RunConfig
from welltuned.data.collect import DataFacts
from welltuned.errors import Fault, InputError, RunFailed
from welltuned.runs.comparison import Comparison
from welltuned.runs.folder import SCHEMA_VERSION
from welltuned.strategies import Full


@dataclass
class Plan:
    """The cells, and how they stand; written to comparison.json at every change."""

    comparison: Comparison
    config: CompareConfig
    cells: list[Cell]
    board: Board
    record: dict[str, Any]
    command: str | None
    _states: dict[tuple[str, int], CellState] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._states = {
            (row.name, cell.seed): cell for row in self.board.rows for cell in row.cells
        }

    def state(self, cell: Cell) -> CellState:
        """How a cell stands."""
        return self._states[cell.name, cell.seed]

    def row(self, cell: Cell) -> Row:
        """The strategy a cell belongs to."""
        return next(row for row in self.board.rows if row.name == cell.name)

    def settled(self, cell: Cell) -> RunConfig:
        """The cell's config with what holds for all cells."""
        return settle(cell.config, self.record["settled"])

    def score(self, cell: Cell) -> float | None:
        """The headline score of a finished cell."""
        return cell.run.results["test"].get(self.board.metric)

    def write(self, state: str) -> None:
        """Say how the comparison stands."""
        rows = [
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


def make_plan(
    comparison: Comparison,
    config: CompareConfig,
    variants: list[Variant],
    facts: DataFacts,
    observer: ComparisonObserver,
    command: str | None,
) -> Plan:
    """Plan the cells, by what is known of them already or by scouting.

    Raises `InputError` when a strategy that was named cannot work, or the budget is too small.
    """
    before = comparison.record
    key, baselines_key = _keys(config, variants, facts)
    if before.get("key") == key:
        scouted = before["scouted"]
    else:
        scouted = _scout(comparison, config, variants, observer)
    possible = [v for v in variants if v.name not in scouted["impossible"]]
    spending = {name: Spending(**values) for name, values in scouted["spending"].items()}
    cells = plan_cells(comparison, possible, config.seed_list, spending, facts.fingerprint)
    record = {
        "schema_version": SCHEMA_VERSION,
        "key": key,
        "asked": asked_for(config),
        "report": config.report.model_dump(mode="json"),
        "command": command or before.get("command"),
        "code": code_version(),
        "data": {"fingerprint": facts.fingerprint, "splits": splits_of(facts)},
        "metric": scouted["metric"],
        "scouted": scouted,
        "settled": before.get("settled", {}),
    }
    board = _board(comparison, variants, scouted, cells, config.workers)
    plan = Plan(comparison, config, cells, board, record, command)
    for cell in cells:
        if cell.is_finished:
            state = plan.state(cell)
            state.state, state.score = "finished", plan.score(cell)
            state.seconds = cell_record(cell.run)["cost"]["seconds"]
    if record["settled"].get("key") != baselines_key:
        record["settled"] = _run_baselines(plan, possible[0], observer) | {"key": baselines_key}
    plan.write("running" if any(not cell.is_finished for cell in cells) else "finished")
    return plan


def _keys(config: CompareConfig, variants: list[Variant], facts: DataFacts) -> tuple[str, str]:
    """What scouting, and what the baselines, depend on."""
    first, budget = variants[0].config, config.budget
    asked = [variant.config.model_dump(mode="json", exclude={"report"}) for variant in variants]
    timed = budget is not None and budget.time is not None
    spending = [budget.model_dump() if budget else None, len(config.seed_list) if timed else None]
    plain = first.model_copy(update={"strategy": Full()})
    return (
        fingerprint(first, facts.fingerprint, asked, spending),
        fingerprint(plain, facts.fingerprint),
    )


def _board(
    comparison: Comparison,
    variants: list[Variant],
    scouted: dict[str, Any],
    cells: list[Cell],
    workers: int,
) -> Board:
    rows = []
    for variant in variants:
        own = [cell for cell in cells if cell.name == variant.name]
        states = [
            CellState(cell.seed, str(cell.run.folder.relative_to(comparison.folder)))
            for cell in own
        ]
        impossible = scouted["impossible"].get(variant.name)
        rows.append(Row(variant.name, variant.slug, states, impossible))
    return Board(rows, scouted["metric"], workers)


def _scout(
    comparison: Comparison,
    config: CompareConfig,
    variants: list[Variant],
    observer: ComparisonObserver,
) -> dict[str, Any]:
    """Let a process look which variants can start and what an epoch is, and share the budget."""
    timed = config.budget is not None and config.budget.time is not None
    folder = comparison.folder / "timing"
    request = {
        "do": "scout",
        "variants": [
            {"name": v.name, "config": v.config.model_dump(mode="json", exclude={"output_dir"})}
            for v in variants
        ],
        "timed": timed,
        "folder": str(folder),
    }
    found: dict[str, dict[str, Any]] = {}
    impossible: dict[str, list[Fault]] = {}
    startup, spent = 0.0, 0.0
    for event in _events_of(request, observer):
        startup = startup or event.worker.seconds
        spent = event.worker.seconds
        if event.name in ("checked", "timed"):
            name = event.values.pop("name")
            found[name] = {**found.get(name, {}), **event.values}
        elif event.name == "cannot":
            faults = [fault_from(values) for values in event.values["faults"]]
            impossible[event.values["name"]] = faults
    _refuse(variants, impossible)
    if timed:
        found = {name: {**part, "rest": part["rest"] + startup} for name, part in found.items()}
    trainings = {v.name: v.config.training for v in variants}
    parts = {name: Found(**values) for name, values in found.items()}
    spending = spend(config, parts, trainings, spent)
    _note_short(spending, observer)
    return {
        "metric": next(iter(parts.values())).metric,
        "spending": {name: part.as_dict() for name, part in spending.items()},
        "impossible": {
            name: "; ".join(fault.what for fault in faults) for name, faults in impossible.items()
        },
    }


def _refuse(variants: list[Variant], impossible: dict[str, list[Fault]]) -> None:
    """What was asked for by name must work; what `all` means is left out where it does not."""
    named = [v.name for v in variants if v.asked_by_name and v.name in impossible]
    if not named and len(impossible) == len(variants):
        named = [v.name for v in variants]
    faults = [fault for name in named for fault in impossible[name]]
    if faults:
        raise InputError(list(dict.fromkeys(faults)))


def _note_short(spending: dict[str, Spending], observer: ComparisonObserver) -> None:
    short = {name: part for name, part in spending.items() if part.planned_epochs < 1}
    if short:
        name, part = next(iter(short.items()))
        observer.noted(
            f"the budget is {part.planned_epochs:.2f} epochs of '{name}': not every training "
            f"example is seen. budget.steps={part.steps_per_epoch} is one epoch"
        )


def _run_baselines(plan: Plan, variant: Variant, observer: ComparisonObserver) -> dict[str, Any]:
    """Measure the baselines; returns what is settled for all cells: precision and pooling."""
    config = variant.config.model_dump(mode="json", exclude={"output_dir", "strategy"})
    folder = plan.comparison.folder / "baselines"
    request = {
        "do": "baselines",
        "config": {**config, "strategy": {"type": "full"}},
        "folder": str(folder),
    }
    settled: dict[str, Any] = {}
    for event in _events_of(request, observer):
        if event.name == "settled":
            settled = event.values
    return settled


def _events_of(request: dict[str, Any], observer: ComparisonObserver) -> Iterator[Event]:
    """The events of a request as they come, its progress passed on. Raises what it ended with."""
    events: queue.Queue[Event] = queue.Queue()
    worker = Worker(request, events).start()
    try:
        while (event := events.get()).name != "ended":
            if event.name == "working":
                observer.working(**event.values)
            yield event
    finally:
        worker.stop()
    if worker.refused:
        raise InputError([fault_from(values) for values in worker.refused])
    if event.values["error"]:
        raise RunFailed(event.values["error"])
