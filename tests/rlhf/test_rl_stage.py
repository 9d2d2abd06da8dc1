"""The RL stage, and what the trackers of a pipeline are told of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import welltuned as wt
from hearing import Heard, hearing, lines_of, logged, without_clock
from pipelines import values_of
from welltuned.errors import Stopped
from welltuned.runs import Run
from welltuned.training.observer import Observer
from welltuned.training.trackers.numbers import final_numbers

BATCH = {"train/reward", "train/kl", "train/entropy", "train/policy_loss", "train/learning_rate"}


class StopsAtThree(Observer):
    """Asks the process to stop at the third batch."""

    def advanced(self, what: str, done: int, total: int, text: str) -> None:
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> type[Heard]:
    return hearing(monkeypatch)


def test_every_stage_tells_the_trackers_of_its_pipeline(
    tiny: Any, few: str, tmp_path: Path, heard: type[Heard]
) -> None:
    """Also one that is stopped and goes on, which tells nothing twice."""
    values = values_of(tiny("bert"), few, tmp_path / "run", training={"report_to": "tensorboard"})
    with pytest.raises(Stopped):
        wt.train(values, observer=StopsAtThree())
    run = wt.train(values, observer=Observer())
    begun = [told for what, told, *_ in heard.events if what == "begin"]
    assert [(one.name, one.group, one.known_as) for one in begun] == [
        ("stages-sft", "run", None),
        ("stages-rl", "run", None),
        ("stages-rl", "run", "its-name"),
    ]
    ends = [how for what, how, *_ in heard.events if what == "end"]
    assert ends == ["finished", "stopped", "finished"]
    stage = Run(run.folder / "stages" / "rl")
    assert begun[1].config == stage.config
    events = heard.events[heard.events.index(("begin", begun[1])) :]
    assert without_clock(logged(events)) == without_clock(lines_of(stage))
    batches = [told for _, _, told in logged(events) if "train/reward" in told]
    assert len(batches) == 6 and all(told.keys() >= BATCH for told in batches)
    (last, final) = next(told for what, *told in events if what == "conclude")
    assert (last, final) == (6, final_numbers(stage.results)) and "test/reward_gain" in final
