"""Runs and trials as tasks of a local Ray with two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import queue
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from comparing import HEAD, carried_out, values_for
from trials import Ask, ask
from welltuned.experiments.comparison.observer import (
    Board,
    CellState,
    ComparisonObserver,
    StrategyRow,
)
from welltuned.experiments.executors.base import Event
from welltuned.experiments.executors.ray_tasks import RayPool
from welltuned.experiments.search.journal import Trial
from welltuned.experiments.search.sweep import SweepObserver, run_sweep
from welltuned.runs.comparison_folder import Comparison

__all__ = ["ask"]

ray = pytest.importorskip("ray", reason="needs welltuned[ray]")
pytestmark = [
    pytest.mark.slow,  # to start Ray takes ten seconds
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

HANDLER = """
import os, time
from pathlib import Path

def run(request, tell):
    tell("begun", process=os.getpid())
    text = Path(request["config"]["data"]).read_text()
    if "folder" in request:
        Path(request["folder"]).mkdir(parents=True, exist_ok=True)
        (Path(request["folder"]) / "output.txt").write_text(text.upper())
    time.sleep(request["seconds"])
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A local Ray of two cores; returns a folder on the path of its processes."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "ray_handler_of_test.py").write_text(HANDLER)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path)
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield folder
        ray.shutdown()


def ended(events: queue.Queue[Event]) -> Event:
    while (event := events.get(timeout=120)).name != "ended":
        pass
    return event


def agent_of(process: int) -> int:
    """The Ray process whose fork server has a process."""
    for _ in range(2):
        process = int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return process


def test_a_task_is_carried_out_stopped_and_lost(cluster: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("text")
    request = {"do": "ray_handler_of_test:run", "config": {"data": str(data)}, "seconds": 0}
    events: queue.Queue[Event] = queue.Queue()
    with RayPool(None) as pool:
        assert pool.cores == 2
        pool.start({**request, "folder": str(tmp_path / "out")}, events, 1)
        last = ended(events)
        assert last.values["error"] is None and last.worker.memory_bytes > 1e6
        assert (tmp_path / "out" / "output.txt").read_text() == "TEXT"
        assert not list(tmp_path.glob(".shared-*"))

        worker = pool.start({**request, "seconds": 60}, events, 1)
        assert events.get(timeout=120).name == "begun"
        worker.stop()
        assert not ended(events).values["lost"]

        pool.start({**request, "seconds": 60}, events, 1)
        os.kill(agent_of(events.get(timeout=120).values["process"]), signal.SIGKILL)
        last = ended(events)
        assert last.values["lost"] and "SIGKILL" in last.values["error"]


def kill_an_agent() -> None:
    """Kill the Ray process of a run that is under way."""
    runs = [process for process in Path("/proc").glob("[0-9]*") if _is_run(process)]
    os.kill(agent_of(int(runs[0].name)), signal.SIGKILL)


class Killing(ComparisonObserver):
    """Kills the Ray process of the first cell that has taken a step."""

    def __init__(self) -> None:
        self.killed = False
        self.notes: list[str] = []

    def noted(self, text: str) -> None:
        self.notes.append(text)

    def changed(self, board: Board, row: StrategyRow, cell: CellState) -> None:
        if cell.doing.startswith("step") and not self.killed:
            self.killed = True
            kill_an_agent()


class KillingTrials(SweepObserver):
    """Kills the Ray process of a trial once one of number 2 or more has taken a step."""

    def __init__(self) -> None:
        self.lost: list[str] = []
        self._killed = False

    def trial_advanced(self, trial: Trial, doing: str, done: int, total: int) -> None:
        if trial.number >= 2 and doing.startswith("step") and not self._killed:
            self._killed = True
            kill_an_agent()

    def trial_lost(self, trial: Trial, reason: str) -> None:
        self.lost.append(reason)


def _is_run(process: Path) -> bool:
    """Whether it is a fork of a fork server that is a Ray process's child."""
    try:
        if b"fork_server" not in (process / "cmdline").read_bytes():
            return False
        agent = agent_of(int(process.name))
        return b"ray::" in Path(f"/proc/{agent}/cmdline").read_bytes()
    except (OSError, IndexError):
        return False


def test_cells_are_those_of_local_processes_though_one_worker_is_killed(
    cluster: Path, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    killing, found = Killing(), {}
    for executor, observer in (("local", None), ("ray", killing)):
        values = values_for(
            tiny("bert"), sentiment, tmp_path / executor, strategies=[HEAD], threads=1, workers=2,
            executor=executor, budget={"steps": 30},
        )  # fmt: skip
        found[executor] = carried_out(values, observer)
    assert killing.killed and "it is tried once more" in killing.notes[-1]
    for seed in (0, 1):
        local, remote = (_results(found[name], seed) for name in ("local", "ray"))
        assert remote == local


def _results(comparison: Comparison, seed: int) -> list[Any]:
    run = comparison.cell("head", seed)
    losses = [row.get("loss") for row in run.read_lines("metrics.jsonl")]
    weights = (run.model / "model.safetensors").read_bytes()
    return [losses, run.results["test"], weights]


def test_trials_are_those_of_local_processes_though_one_worker_is_killed(
    cluster: Path, ask: Ask, tmp_path: Path
) -> None:
    killing, found = KillingTrials(), {}
    for executor, observer in (("local", None), ("ray", killing)):
        sweep = {"trials": 4, "workers": 2, "threads": 1, "executor": {"type": executor}}
        config = ask({"type": "partial", "num_blocks": 0}, sweep=sweep)
        config = config.model_copy(update={"output_dir": str(tmp_path / executor)})
        folder = run_sweep(config, observer=observer)
        trials = json.loads((folder / "sweep.json").read_text())["trials"]
        kept = ("number", "state", "values", "value", "curve", "reason")
        found[executor] = [{key: trial[key] for key in kept} for trial in trials]
        assert all(trial["side_by_side"] for trial in trials)
        assert len(list(folder.glob("trials/*/model"))) == 1, "the best one's"
    assert killing.lost and "SIGKILL" in killing.lost[0]
    assert found["ray"] == found["local"]
    assert len({str(trial["values"]) for trial in found["local"]}) == 4
