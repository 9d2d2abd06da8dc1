"""Running the cells that are missing, several side by side."""

from __future__ import annotations

from collections.abc import Mapping

from welltuned.experiments.comparison.cells import Cell, keep_record, make_room
from welltuned.experiments.comparison.further_seeds import in_question
from welltuned.experiments.comparison.observer import CellState, ComparisonObserver
from welltuned.experiments.comparison.parallel import room_of_cells
from welltuned.experiments.comparison.plan import ComparisonPlan
from welltuned.experiments.comparison.summary import rank_strategies
from welltuned.experiments.comparison.verdict.elimination import FIRST_LOOK, dropped, is_settled
from welltuned.experiments.executors.base import Event, Pool
from welltuned.experiments.executors.side_by_side import SideBySide


class CellRunner(SideBySide[Cell]):
    """Runs cells, several at a time, each by a worker of its own."""

    def __init__(self, plan: ComparisonPlan, pool: Pool, observer: ComparisonObserver) -> None:
        settled = plan.record["settled"]
        room = room_of_cells(plan.config, settled, pool)
        super().__init__(pool, plan.board.workers, settled.get("threads"), room)
        self._plan, self._observer, self._settled = plan, observer, settled
        missing = [cell for cell in plan.cells if not cell.is_finished]
        asked = plan.config.seed_list
        self._rounds = [[cell for cell in missing if cell.seed == seed] for seed in asked]
        self._further = [cell for cell in missing if cell.seed not in asked]
        self._gone: set[str] = set()

    def run(self) -> None:
        """Run what is missing. When this is interrupted, what is under way is stopped."""
        if not any(self._rounds) and not self._further:
            return
        self._plan.write("running")
        try:
            super().run()
        except BaseException:
            self._plan.write("stopped")
            raise

    def next_job(self) -> Cell | None:
        """Seed by seed; where strategies may be dropped, not before a round has ended."""
        while self._rounds and not self._rounds[0]:
            if self._looks_next and self.is_busy:
                return None
            self._rounds.pop(0)
            self._drop()
        if self._rounds:
            return self._rounds[0].pop(0)
        if not self._further and not self.is_busy:
            self._further = self._next_round()
        return self._further.pop(0) if self._further else None

    def _next_round(self) -> list[Cell]:
        """One seed more of what is in question, where a time budget has that much left."""
        names = in_question(self._plan, self._gone)
        if not names:
            return []
        added = self._plan.add_round(names)
        self._observer.noted(f"time is left for another seed of {', '.join(names)}")
        return added

    @property
    def _looks_next(self) -> bool:
        """Whether strategies may be dropped after the round that is under way."""
        config, left = self._plan.config, len(self._rounds) - 1
        return config.is_adaptive and left > 0 and len(config.seed_list) - left >= FIRST_LOOK

    def _drop(self) -> None:
        """Leave out what is not in question any more."""
        config = self._plan.config
        rounds, left = len(config.seed_list), len(self._rounds)
        if not config.is_adaptive or not left or rounds - left < FIRST_LOOK:
            return
        self._plan.write("running")
        standings = rank_strategies(self._plan.comparison)["standings"]
        gone = dropped(standings, rounds)
        if is_settled(standings, gone):
            gone = [one["name"] for one in standings]
        self._gone.update(gone)
        for name in gone:
            self._observer.noted(f"{name} is not in question any more, after {rounds - left} seeds")
        for cells in self._rounds:
            for cell in cells:
                if cell.name in gone:
                    self._plan.state(cell).state = "dropped"
            cells[:] = [cell for cell in cells if cell.name not in gone]

    def request_of(self, job: Cell) -> Mapping[str, object]:
        aside = make_room(job, self._plan.comparison, self._settled)
        if aside is not None:
            self._observer.noted(
                f"{job.name} seed {job.seed} had other settings; it is now in {aside}"
            )
        state = self._plan.state(job)
        state.state, state.doing, state.error, state.done = "running", "starting", None, 0.0
        self._tell(job, state)
        return {
            **job.request(self._settled),
            "command": self._plan.command,
            "data": str(self._plan.comparison.data),
        }

    def heard(self, job: Cell, event: Event) -> None:
        state = self._plan.state(job)
        if event.name == "stepped":
            state.doing = f"step {event.values['step']}/{event.values['total']}"
            state.done = event.values["step"] / event.values["total"]
        elif event.name == "working":
            state.doing = event.values["what"]
        self._tell(job, state)

    def ended(self, job: Cell, event: Event) -> None:
        """Keep what it took, or why it failed."""
        state = self._plan.state(job)
        state.seconds = event.values["seconds"]
        if event.values["error"] is None:
            cost = {**_taken(job, event), "workers": self.workers}
            keep_record(job, cost)
            state.state, state.score = "finished", self._plan.score(job)
        else:
            state.state, state.error = "failed", event.values["error"]
            if (job.run.folder / "status.json").exists():
                job.run.set_status("failed", job.run.step, state.error)
        self._plan.write("running")
        self._tell(job, state)

    def lost(self, job: Cell, reason: str) -> None:
        self._observer.noted(f"{job.name}, seed {job.seed}: {reason}; it is tried once more")
        state = self._plan.state(job)
        state.state, state.seconds = "waiting", None
        self._plan.write("running")
        self._tell(job, state)

    def stopped(self, job: Cell) -> None:
        self._plan.state(job).state = "stopped"

    def _tell(self, cell: Cell, state: CellState) -> None:
        self._observer.changed(self._plan.board, self._plan.row(cell), state)


def _taken(cell: Cell, event: Event) -> dict[str, float | int | None]:
    """What a cell took, also in the processes before one that resumed it."""
    earlier = cell.run.results.get("cost", {}).get("before_resuming", {})
    computed = event.worker.cpu_seconds
    return {
        "seconds": event.values["seconds"] + earlier.get("seconds", 0.0),
        "cpu_seconds": None if computed is None else computed + earlier.get("cpu_seconds", 0.0),
        "memory_bytes": event.worker.memory_bytes,
    }
