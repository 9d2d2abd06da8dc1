"""Running a comparison: plan the cells, run the missing ones, summarise."""

from __future__ import annotations

import os
import queue
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from welltuned.errors import Faults, Stopped
from welltuned.experiments.comparison.cache_key import code_version
from welltuned.experiments.comparison.cells import Cell, keep_record, make_room
from welltuned.experiments.comparison.config import CompareConfig
from welltuned.experiments.comparison.folder import check_data, find_folder
from welltuned.experiments.comparison.locking import locked
from welltuned.experiments.comparison.observer import CellState, ComparisonObserver
from welltuned.experiments.comparison.plan import ComparisonPlan, plan_comparison
from welltuned.experiments.comparison.summary import summarise_comparison
from welltuned.experiments.comparison.variants import find_variants
from welltuned.experiments.comparison.worker.client import Event, Worker
from welltuned.reports.comparison import write_comparison_report
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.status import stoppable
from welltuned.schema.document import Document
from welltuned.training.data_cache import DataCache

_TICK = 0.5
"""Seconds between looks at how much memory the cells hold."""


def run_comparison(
    config: CompareConfig,
    document: Document | None = None,
    observer: ComparisonObserver | None = None,
    command: str | None = None,
) -> Comparison:
    """Carry out a comparison, or what is missing of it, and return its folder.

    Raises `InputError` before any cell when something cannot work. A cell that fails
    stops no other.
    """
    observer, document = observer or ComparisonObserver(), document or Document(source="arguments")
    faults = Faults()
    variants = find_variants(config, document, faults)
    faults.raise_if_any()
    cache = DataCache(version=code_version())
    facts = check_data(variants, cache)
    comparison = find_folder(config, facts, observer.noted)
    with locked(comparison.folder), _signals(), _shared(cache, comparison):
        plan = plan_comparison(comparison, config, variants, facts, cache, observer, command)
        observer.planned(comparison, plan.board)
        _run_cells(plan, config.workers, observer)
        results = summarise_comparison(comparison)
        write_comparison_report(comparison)
        plan.write("finished")
    observer.ended(comparison, results)
    return comparison


@contextmanager
def _shared(cache: DataCache, comparison: Comparison) -> Iterator[None]:
    """Data in the comparison's folder while its processes work, and for one that goes on later.

    Where planning refused, nothing is left: the folder is as free as it was.
    """
    cache.share(comparison.data)
    try:
        yield
    except BaseException:
        if not Comparison.is_at(comparison.folder):
            shutil.rmtree(comparison.data)
        raise
    cache.drop_files()


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM ends a comparison as Ctrl-C does."""
    try:
        with stoppable():
            yield
    except KeyboardInterrupt:
        raise Stopped(signal.SIGINT) from None


def _run_cells(plan: ComparisonPlan, workers: int, observer: ComparisonObserver) -> None:
    """Run the cells that are missing, `workers` at a time, each in a process of its own."""
    waiting = [cell for cell in plan.cells if not cell.is_finished]
    if not waiting:
        return
    events: queue.Queue[Event] = queue.Queue()
    running: dict[Worker, Cell] = {}
    plan.write("running")
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                cell = waiting.pop(0)
                running[_start(cell, plan, workers, events, observer)] = cell
            _hear(events, running, plan, observer)
    except BaseException:
        for worker, cell in running.items():
            worker.stop()
            plan.state(cell).state = "stopped"
        plan.write("stopped")
        raise


def _start(
    cell: Cell,
    plan: ComparisonPlan,
    workers: int,
    events: queue.Queue[Event],
    observer: ComparisonObserver,
) -> Worker:
    aside = make_room(cell, plan.comparison)
    if aside is not None:
        observer.noted(f"{cell.name} seed {cell.seed} had other settings; it is now in {aside}")
    state = plan.state(cell)
    state.state, state.doing, state.error = "running", "starting", None
    request = {
        **cell.request(plan.record["settled"]),
        "command": plan.command,
        "data": str(plan.comparison.data),
    }
    worker = Worker(request, events, threads_for(workers)).start()
    _told(plan, cell, state, observer)
    return worker


def threads_for(workers: int) -> int | None:
    """Threads of each of several workers, so that they share the machine; None: torch's choice."""
    if workers == 1:
        return None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // workers)


def _hear(
    events: queue.Queue[Event],
    running: dict[Worker, Cell],
    plan: ComparisonPlan,
    observer: ComparisonObserver,
) -> None:
    """The next event, if there is one soon."""
    for worker in running:
        worker.sample()
    try:
        event = events.get(timeout=_TICK)
    except queue.Empty:
        return
    cell = running[event.worker]
    state = plan.state(cell)
    if event.name == "stepped":
        state.doing = f"step {event.values['step']}/{event.values['total']}"
        state.done = event.values["step"] / event.values["total"]
    elif event.name == "working":
        state.doing = event.values["what"]
    elif event.name == "ended":
        del running[event.worker]
        _ended(event, cell, state, plan)
    _told(plan, cell, state, observer)


def _ended(event: Event, cell: Cell, state: CellState, plan: ComparisonPlan) -> None:
    """A cell's process has ended: keep what it took, or why it failed."""
    state.seconds = event.values["seconds"]
    if event.values["error"] is None:
        cost = {
            "seconds": event.values["seconds"],
            "memory_bytes": event.worker.memory_bytes,
        }
        keep_record(cell, cost)
        state.state, state.score = "finished", plan.score(cell)
    else:
        state.state, state.error = "failed", event.values["error"]
        if (cell.run.folder / "status.json").exists():
            cell.run.set_status("failed", cell.run.step, state.error)
    plan.write("running")


def _told(plan: ComparisonPlan, cell: Cell, state: CellState, observer: ComparisonObserver) -> None:
    observer.changed(plan.board, plan.row(cell), state)
