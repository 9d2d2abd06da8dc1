"""Running the cells that are missing, several side by side."""

from __future__ import annotations

import queue
from collections import Counter

from welltuned.experiments.comparison.cells import Cell, keep_record, make_room
from welltuned.experiments.comparison.observer import CellState, ComparisonObserver
from welltuned.experiments.comparison.parallel import Room
from welltuned.experiments.comparison.plan import ComparisonPlan
from welltuned.experiments.executors.base import Event, Pool, Worker

_TICK = 0.5
"""Seconds between looks at how much memory the cells hold."""
_ATTEMPTS = 2
"""How often a cell is begun whose process dies: it may be the cell that kills it."""


class CellRunner:
    """Runs cells, several at a time, each by a worker of its own."""

    def __init__(self, plan: ComparisonPlan, pool: Pool, observer: ComparisonObserver) -> None:
        self._plan, self._pool, self._observer = plan, pool, observer
        self._settled = plan.record["settled"]
        self._workers = plan.board.workers
        self._room = Room(self._settled)
        self._waiting = [cell for cell in plan.cells if not cell.is_finished]
        self._running: dict[Worker, Cell] = {}
        self._begun: Counter[str] = Counter()
        self._events: queue.Queue[Event] = queue.Queue()

    def run(self) -> None:
        """Run what is missing. When this is interrupted, what is under way is stopped."""
        if not self._waiting:
            return
        self._plan.write("running")
        try:
            while self._waiting or self._running:
                while self._waiting and self._has_room():
                    self._start(self._waiting.pop(0))
                self._hear()
        except BaseException:
            self._stop()
            raise

    def _has_room(self) -> bool:
        """Whether another cell may begin beside those under way."""
        if not self._running:
            return True
        if len(self._running) >= self._workers:
            return False
        asked = self._plan.config.workers != "auto" or not self._pool.shares_memory
        return asked or self._room.has_one_more(self._running)

    def _start(self, cell: Cell) -> None:
        aside = make_room(cell, self._plan.comparison)
        if aside is not None:
            self._observer.noted(
                f"{cell.name} seed {cell.seed} had other settings; it is now in {aside}"
            )
        state = self._plan.state(cell)
        state.state, state.doing, state.error, state.done = "running", "starting", None, 0.0
        request = {
            **cell.request(self._settled),
            "command": self._plan.command,
            "data": str(self._plan.comparison.data),
        }
        self._begun[cell.key] += 1
        worker = self._pool.start(request, self._events, self._settled["threads"])
        self._running[worker] = cell
        self._tell(cell, state)

    def _hear(self) -> None:
        """The next event, if there is one soon."""
        for worker in self._running:
            worker.sample()
        try:
            event = self._events.get(timeout=_TICK)
        except queue.Empty:
            return
        cell = self._running[event.worker]
        state = self._plan.state(cell)
        if event.name == "stepped":
            state.doing = f"step {event.values['step']}/{event.values['total']}"
            state.done = event.values["step"] / event.values["total"]
        elif event.name == "working":
            state.doing = event.values["what"]
        elif event.name == "ended":
            del self._running[event.worker]
            self._ended(event, cell, state)
        self._tell(cell, state)

    def _ended(self, event: Event, cell: Cell, state: CellState) -> None:
        """A cell's worker has ended: keep what it took, or why it failed."""
        state.seconds = event.values["seconds"]
        if event.values["error"] is None:
            cost = {
                "seconds": event.values["seconds"],
                "cpu_seconds": event.worker.cpu_seconds,
                "memory_bytes": event.worker.memory_bytes,
                "workers": self._workers,
            }
            self._room.learn(event.worker.memory_bytes)
            keep_record(cell, cost)
            state.state, state.score = "finished", self._plan.score(cell)
        elif event.values["lost"] and self._begun[cell.key] < _ATTEMPTS:
            self._try_again(cell, state, event.values["error"])
        else:
            state.state, state.error = "failed", event.values["error"]
            if (cell.run.folder / "status.json").exists():
                cell.run.set_status("failed", cell.run.step, state.error)
        self._plan.write("running")

    def _try_again(self, cell: Cell, state: CellState, reason: str) -> None:
        self._observer.noted(f"{cell.name}, seed {cell.seed}: {reason}; it is tried once more")
        state.state, state.seconds = "waiting", None
        self._waiting.append(cell)

    def _stop(self) -> None:
        for worker in self._running:
            worker.ask_to_stop()
        for worker, cell in self._running.items():
            worker.stop()
            self._plan.state(cell).state = "stopped"
        self._plan.write("stopped")

    def _tell(self, cell: Cell, state: CellState) -> None:
        self._observer.changed(self._plan.board, self._plan.row(cell), state)
