"""A cell whose process dies is carried out again: no other is lost, and nobody waits for it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from comparing import carried_out, values_for, without_a_page
from forking import Forks
from resuming import differing, left_by
from storming import Storm, seeded
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.experiments.executors.local import LocalPool, LocalWorker
from welltuned.runs.comparison_folder import Comparison

GROUP = "a dead cell of a comparison"
SLUGS = "full", "lora"
STEPS = 6
WITHIN = 60.0
"""Seconds from a death to the end of the comparison."""


class Killer(ComparisonObserver):
    """Kills the process of a cell when it tells of a step, so many times."""

    def __init__(self, slug: str = "", step: int = 0, times: int = 0) -> None:
        self.workers: list[LocalWorker] = []
        self.died = 0.0
        self._slug, self._step, self._left = slug, step, times

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        told = re.match(r"step (\d+)/", cell.doing)
        if row.slug != self._slug or cell.state != "running" or told is None or not self._left:
            return
        if int(told[1]) >= self._step:
            self._left -= 1
            of_cell = [worker for worker in self.workers if cell.folder in str(worker.request)]
            of_cell[-1].kill()
            self.died = time.monotonic()


Compare = Callable[[Path, Killer], Comparison]


@pytest.fixture(scope="module")
def compare(tiny: Any, few: str, forks: Forks) -> Compare:
    """A comparison of two strategies, side by side in processes of their own."""
    strategies = [{"type": "full"}, {"type": "lora", "r": 2, "name": "lora"}]
    parts = {"strategies": strategies, "workers": 2, "seeds": 1, "training": {"save_steps": 2}}

    def make(folder: Path, killer: Killer) -> Comparison:
        with pytest.MonkeyPatch.context() as patch:
            forks.lend(patch)
            without_a_page(patch)
            start = LocalPool.start

            def watched(pool: LocalPool, *asked: Any) -> Any:
                killer.workers.append(worker := start(pool, *asked))  # type: ignore[arg-type]
                return worker

            patch.setattr(LocalPool, "start", watched)
            return carried_out(values_for(tiny("bert"), few, folder, **parts), killer)

    return make


@pytest.fixture(scope="module")
def whole(compare: Compare, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is left by the cells of one in which nobody dies."""
    comparison = compare(tmp_path_factory.mktemp("whole") / "c", Killer())
    return {slug: left_by(comparison.cell(slug, 0)) for slug in SLUGS}


def judge(comparison: Comparison, whole: dict[str, Any], killer: Killer, forks: Forks) -> None:
    assert killer.died, "nobody died"
    assert time.monotonic() - killer.died < WITHIN
    for slug, left in whole.items():
        assert comparison.cell(slug, 0).is_finished, "a cell is lost"
        assert not differing(left_by(comparison.cell(slug, 0)), left), "something differs"
    processes = {worker._process.pid for worker in killer.workers}
    assert not processes & set(forks.children()), "a process is left over"


@seeded(0, 8)
def test_of_two(
    number: int, compare: Compare, whole: Any, forks: Forks, tmp_path: Path, storm: Storm
) -> None:
    killer = Killer(storm.draw.choice(SLUGS), storm.draw.randint(1, STEPS - 1), 1)
    with storm.fault():
        judge(compare(tmp_path / "c", killer), whole, killer, forks)


@pytest.mark.storm
def test_what_judges_notices_one_that_is_given_up(
    compare: Compare, whole: Any, forks: Forks, tmp_path: Path, storm: Storm
) -> None:
    """Who dies again is not begun a third time."""
    killer = Killer("lora", 1, 2)
    with storm.control("a cell is lost"):
        judge(compare(tmp_path / "c", killer), whole, killer, forks)
