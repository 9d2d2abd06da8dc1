"""Wherever a signal comes, the run ends with its status, and goes on as if there had been none."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from forking import Forks
from storming import Lives, Pipeline, Storm, Whole, saved
from suffering import be_signalled, command
from welltuned.runs.folder import START

GROUP = "SIGTERM and Ctrl-C anywhere"
WITHIN = 30.0
"""Seconds from a signal to the end of the process."""


@dataclass(frozen=True)
class Moment:
    """When a signal comes."""

    place: str
    """The function that is called then."""
    when: str = "before"
    call: int = 1
    saves: int | None = None
    """The step that is saved then; None: the one that was."""


MOMENTS = {
    "reading data": Moment("welltuned.training.train:prepare_in_folder"),
    "loading the model": Moment("welltuned.training.train:load_session"),
    "training": Moment("welltuned.training.observer:Recorder.stepped", call=5, saves=5),
    "the last step": Moment("welltuned.training.observer:Recorder.stepped", call=9, saves=9),
    "validation": Moment("welltuned.training.session.session:Session.score", saves=3),
    "after a validation": Moment("welltuned.training.observer:Recorder.evaluated", "after"),
    "keeping the best": Moment("welltuned.runs.checkpoints:BestWeights.keep"),
    "the best kept": Moment("welltuned.runs.checkpoints:BestWeights.keep", "after"),
    "saving": Moment("welltuned.training.train:save_snapshot", call=2, saves=5),
    "test": Moment("welltuned.training.train:evaluate_run"),
    "saving the model": Moment("welltuned.training.train:save_artifact"),
    "the report": Moment("welltuned.training.train:write_run_report"),
}
RL_MOMENTS = {
    "sampling": Moment("welltuned.rlhf.learner:Learner.rollout", call=3, saves=2),
    "learning": Moment("welltuned.rlhf.loop:step", call=3, saves=3),
    "evaluation": Moment("welltuned.rlhf.loop:look", call=2, saves=3),
    "an evaluation written": Moment("welltuned.rlhf.loop:save_checkpoint", "after"),
}
QUICK = {"training"}


@pytest.fixture
def signalled(
    forks: Forks, asked: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., tuple[int, str, Lives]]:
    """`signalled(moment, numbers)`: (exit status, last line for people, the run to go on with)."""

    def make(moment: Moment, *numbers: int) -> tuple[int, str, Lives]:
        values, note = asked(tmp_path / "run"), tmp_path / "signalled"
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
        suffering = {"place": moment.place, "when": moment.when, "call": moment.call}
        worker = forks.begin(
            command,
            arguments=["train", str(tmp_path / "run.yaml")],
            told=str(tmp_path / "told.txt"),
            suffers=be_signalled.__name__,
            suffering={**suffering, "numbers": numbers, "note": str(note)},
        )
        status, _ = forks.end_of(worker)
        assert time.time() - float(note.read_text()) < WITHIN
        lines = (tmp_path / "told.txt").read_text().strip().splitlines()
        return status, lines[-1], Lives(forks, values)

    return make


def moments(numbers: set[str]) -> pytest.MarkDecorator:
    """Each of them; but for a few only in a whole storm."""
    marks = {name: () if name in numbers else pytest.mark.storm for name in MOMENTS}
    return pytest.mark.parametrize("name", [pytest.param(n, marks=m) for n, m in marks.items()])


@moments(QUICK)
def test_sigterm(name: str, signalled: Any, whole: Whole, storm: Storm) -> None:
    moment = MOMENTS[name]
    with storm.fault():
        status, line, lives = signalled(moment, signal.SIGTERM)
        assert status == 128 + signal.SIGTERM
        if (lives.folder / START).exists():
            assert f"welltuned resume {lives.folder}" in line
            assert moment.saves in (None, saved(lives.run))
        lives.one()
        lives.judge(whole)


@moments({"saving"})
def test_ctrl_c_twice(name: str, signalled: Any, whole: Whole, storm: Storm) -> None:
    """The second one does not wait, and nothing is corrupt."""
    with storm.fault():
        status, _, lives = signalled(MOMENTS[name], signal.SIGINT, signal.SIGINT)
        assert status == 128 + signal.SIGINT
        lives.one()
        lives.judge(whole)


@pytest.mark.storm
@pytest.mark.parametrize("name", RL_MOMENTS)
@pytest.mark.parametrize("policy", ["classifier", "generator"])
def test_sigterm_to_a_pipeline(
    name: str, policy: str, pipelines: Callable[[str], Pipeline], tmp_path: Path, storm: Storm
) -> None:
    moment, (make, whole) = RL_MOMENTS[name], pipelines(policy)
    lives, note = make(tmp_path / "run"), tmp_path / "signalled"
    suffering = {"place": moment.place, "when": moment.when, "call": moment.call}
    suffering |= {"numbers": [signal.SIGTERM], "note": str(note)}
    with storm.fault():
        assert lives.one(ends=128 + signal.SIGTERM, suffers=be_signalled, suffering=suffering)
        assert time.time() - float(note.read_text()) < WITHIN
        assert moment.saves in (None, saved(lives.run))
        lives.one()
        lives.judge(whole)


def test_what_judges_notices_a_run_that_begins_again_where_it_should_go_on(
    signalled: Any, whole: Whole, storm: Storm
) -> None:
    moment = MOMENTS["training"]
    _, _, lives = signalled(moment, signal.SIGKILL)
    with storm.control("nothing was saved"):
        assert moment.saves == saved(lives.run), "nothing was saved"
