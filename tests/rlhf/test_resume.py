"""An interrupted pipeline goes on, in whichever stage, and ends as one never interrupted."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from faults import refused
from pipelines import generation, values_of
from resuming import Killed, Notes, Signalling, differing, left_by
from welltuned.engines.save_schedule import SaveSchedule
from welltuned.errors import Stopped
from welltuned.runs import Run
from welltuned.training.observer import Observer


class BatchStop(Observer):
    """Ends the work at a batch: by a signal, or without warning."""

    def __init__(self, batch: int, kill: bool = False) -> None:
        self._batch, self._kill = batch, kill

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        if done == self._batch:
            if self._kill:
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)


def every_second_batch(schedule: SaveSchedule, step: int) -> bool:
    return step % 2 == 0


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("groups", "writer")]


@pytest.fixture(scope="module", params=["bandit", *SLOW])
def whole(
    request: pytest.FixtureRequest,
    tiny: Callable[..., str],
    causal: Callable[..., str],
    sentiment: str,
    stories: str,
    tmp_path_factory: Any,
) -> tuple[Run, dict[str, Any]]:
    """(a pipeline of six batches never interrupted, its config) of a classifier, of a generator."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    ppo = {"kl_target": 1.0, "eval_steps": 3}
    if request.param != "writer":
        values = values_of(tiny("bert"), sentiment, folder, ppo=ppo)
        if request.param == "groups":
            values = {**values, "grpo": {**values.pop("ppo"), "num_generations": 4}}
    else:
        values = generation(causal("llama"), stories, folder, ppo=ppo)
    return wt.train(values, observer=Observer()), values


def rl_of(run: Run) -> dict[str, Any]:
    return left_by(Run(run.folder / "stages" / "rl"))


@pytest.fixture
def again(whole: tuple[Run, dict[str, Any]], tmp_path: Path) -> dict[str, Any]:
    """The config of the same pipeline into another folder."""
    return {**whole[1], "output_dir": str(tmp_path / "run")}


@pytest.mark.parametrize("stop", [BatchStop(2), BatchStop(3), BatchStop(6)], ids=["2", "3", "6"])
def test_a_stopped_rl_stage_goes_on(
    stop: Observer, whole: tuple[Run, dict[str, Any]], again: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        wt.train(again, observer=stop)
    stage = Run(Path(again["output_dir"]) / "stages" / "rl")
    assert stage.state == "stopped" and not stage.results
    run = wt.train(again, observer=Observer())
    assert not list((run.folder / "stages").glob("*-unfinished"))
    assert not differing(rl_of(run), rl_of(whole[0]))


def test_a_killed_rl_stage_goes_on_from_its_last_save(
    whole: tuple[Run, dict[str, Any]], again: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SaveSchedule, "is_due", every_second_batch)
    with pytest.raises(Killed):
        wt.train(again, observer=BatchStop(5, kill=True))
    run = Run(Path(again["output_dir"]))
    saved = sorted(path.name for path in Run(run.folder / "stages" / "rl").snapshots.iterdir())
    assert saved == ["step-2", "step-4"]
    assert not differing(rl_of(wt.train(again, observer=Observer())), rl_of(whole[0]))


def test_a_stopped_sft_stage_goes_on(
    whole: tuple[Run, dict[str, Any]], again: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        wt.train(again, observer=Signalling(2))
    run = wt.train(again, observer=Observer())
    for stage in ("sft", "rl"):
        was, now = (left_by(Run(one.folder / "stages" / stage)) for one in (whole[0], run))
        assert not differing(now, was)


def test_it_goes_on_by_its_folder_or_by_that_of_its_stage(
    whole: tuple[Run, dict[str, Any]], again: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        wt.train(again, observer=BatchStop(2))
    folder = Path(again["output_dir"])
    with refused("rlhf.accepted_by_stage", keys="data"):
        wt.resume(folder, accept=["data"])
    with pytest.raises(Stopped):
        wt.resume(folder, observer=BatchStop(4))
    notes = Notes()
    run = wt.resume(folder / "stages" / "rl", observer=notes)
    assert run.folder == folder and notes.told[0].endswith(f"a stage of {folder}, which goes on")
    assert not differing(rl_of(run), rl_of(whole[0]))


def test_other_wishes_begin_the_rl_stage_again(
    whole: tuple[Run, dict[str, Any]], again: dict[str, Any]
) -> None:
    with pytest.raises(Stopped):
        wt.train(again, observer=BatchStop(2))
    changed = {**again, "ppo": {**again["ppo"], "kl_coef": 0.5}}
    notes = Notes()
    run = wt.train(changed, observer=notes)
    aside = run.folder / "stages" / "rl-unfinished"
    assert Run(aside).state == "stopped"
    assert [note for note in notes.told if note.endswith(f"it is in {aside}")]
    shutil.rmtree(run.folder)
