"""Killed at any moment, and begun again until it is done, a run ends as one never interrupted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forking import Forks
from pipelines import values_of
from resuming import differing, left_by
from storming import (
    Storm,
    die_after,
    forget_moments,
    live,
    reached,
    save_every_second,
    saved,
    seeded,
)
from welltuned.runs import Run
from welltuned.runs.folder import START

GROUP = "SIGKILL at a random moment"
KILLS = 3
"""Of each run, at most; then it is let alone."""
INTERVAL = 2
"""Steps between saves."""
STEPS = {"num_train_epochs": 6, "per_device_train_batch_size": 4}
"""36 of them, so that many kills come while it trains."""

Whole = tuple[dict[str, Any], float]


class Lives:
    """One run in as many processes as it takes."""

    def __init__(self, forks: Forks, values: dict[str, Any], stage: str = "", **more: Any) -> None:
        self._forks, self._values, self._more = forks, values, more
        self.folder = Path(values["output_dir"])
        self.run = Run(self.folder / stage)

    def one(self, seconds: float | None = None, **faults: Any) -> bool:
        """One life, killed after so long if at all. Returns whether it was killed."""
        if self.folder.exists() and not self._has_begun:
            shutil.rmtree(self.folder)  # it had not come to its first step
        worker = self._forks.begin(live, values=self._values, **{**self._more, **faults})
        if seconds is not None:
            time.sleep(seconds)
            worker.kill()
        status, error = self._forks.end_of(worker)
        assert status in (0, -9), error
        return status != 0

    @property
    def _has_begun(self) -> bool:
        return (self.folder / START).exists() or "pipeline" in self._values

    def outlive(self, storm: Storm, whole: Whole) -> None:
        """Kill it some times, let it end, and judge what is left."""
        killed = 0
        while killed < KILLS and self.one(storm.draw.uniform(0, whole[1])):
            killed += 1
            assert reached(self.run) - saved(self.run) <= INTERVAL, "too much work was lost"
        with storm.fault(killed):
            if not self.run.is_finished:
                self.one()
            self.judge(whole)

    def judge(self, whole: Whole) -> None:
        assert not differing(left_by(self.run), whole[0]), "something differs"
        assert not list(self.run.folder.rglob(".*")), "something is left over"


def lived(lives: Lives) -> Whole:
    """What one leaves that is never interrupted, and the seconds it takes."""
    start = time.monotonic()
    lives.one()
    return left_by(lives.run), time.monotonic() - start


@pytest.fixture(scope="module")
def engines() -> dict[str, Whole]:
    """What was left by runs that were never interrupted, by engine."""
    return {}


@pytest.fixture(params=["torch", "hf"])
def supervised(
    request: pytest.FixtureRequest,
    forks: Forks,
    asked: Callable[..., dict[str, Any]],
    engines: dict[str, Whole],
    tmp_path: Path,
) -> tuple[Lives, Whole]:
    """(a run to be killed, what it leaves if it is not)."""
    engine = request.param
    if engine not in engines:
        values = asked(tmp_path / "whole", engine=engine, training=STEPS)
        engines[engine] = lived(Lives(forks, values))
    values = asked(tmp_path / "run", engine=engine, training=STEPS)
    return Lives(forks, values), engines[engine]


@seeded(1, 17)
def test_a_run(number: int, supervised: tuple[Lives, Whole], storm: Storm) -> None:
    lives, whole = supervised
    lives.outlive(storm, whole)


@pytest.mark.parametrize("supervised", ["torch"], indirect=True)
def test_what_judges_notices_a_resume_without_moments(
    supervised: tuple[Lives, Whole], storm: Storm
) -> None:
    lives, whole = supervised
    assert lives.one(suffers=die_after.__name__, suffering={"step": 5})
    assert (reached(lives.run), saved(lives.run)) == (5, 4)
    lives.one(suffers=forget_moments.__name__)
    with storm.control("something differs"):
        lives.judge(whole)


# --- A pipeline -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pipeline(
    forks: Forks, tiny: Callable[..., str], sentiment: str, tmp_path_factory: Any
) -> tuple[Callable[[Path], Lives], Whole]:
    """(a pipeline to be killed, what it leaves if it is not)."""

    def make(folder: Path) -> Lives:
        values = values_of(tiny("bert"), sentiment, folder, ppo={"kl_target": 1.0, "eval_steps": 3})
        return Lives(forks, values, "stages/rl", suffers=save_every_second.__name__)

    return make, lived(make(tmp_path_factory.mktemp("pipeline") / "run"))


@seeded(1, 17)
def test_a_pipeline(
    number: int, pipeline: tuple[Callable[[Path], Lives], Whole], tmp_path: Path, storm: Storm
) -> None:
    make, whole = pipeline
    make(tmp_path / "run").outlive(storm, whole)
