"""A trial in a worker: what it tells, and when it gives up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import config_values
from trials import Imagined, fail, imagine
from welltuned.experiments.search.past import PastTrial
from welltuned.experiments.search.sweep import TrialRequest
from welltuned.experiments.search.trial import carry_out_trial


def better(value: float) -> PastTrial:
    looks = [(1, value), (2, value), (3, value)]
    return {"state": "COMPLETE", "value": value, "looks": looks, "rungs": {}}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """`told(past, before)`: the events of an imagined trial whose score is 0.9."""

    def carried_out(past: list[PastTrial], before: Any = None, pruner: str = "median") -> Any:
        imagined: Imagined = imagine(monkeypatch)
        imagined.before = before or imagined.before
        training = {"learning_rate": 1e-3}
        values = config_values("model", "data.csv", "lora", tmp_path / "run", training=training)
        request: TrialRequest = {
            "do": "", "data": str(tmp_path), "config": values, "metric": "macro_f1",
            "maximize": True, "pruner": pruner, "past": past,
        }  # fmt: skip
        events: list[Any] = []
        carry_out_trial(request, lambda event, **more: events.append((event, more)))
        return [(event, more) for event, more in events if event != "evaluated"]

    return carried_out


def test_every_look_is_told(told: Any) -> None:
    events = told([])
    assert [event for event, _ in events] == ["looked"] * 3
    assert [more["value"] for _, more in events] == pytest.approx([0.3, 0.6, 0.9])
    assert [more["look"] for _, more in events] == [1, 2, 3]


def test_behind_the_median_of_the_past_it_ends(told: Any) -> None:
    *_, (event, more) = told([better(0.95)] * 4)
    assert event == "pruned" and more["reason"].startswith("pruned at step 1 of 3: macro_f1 0.3000")


def test_of_those_under_way_nothing_is_held_against_it(told: Any) -> None:
    busy: PastTrial = {"state": "RUNNING", "value": None, "looks": [], "rungs": {}}
    assert [event for event, _ in told([*[better(0.95)] * 3, *[busy] * 3])] == ["looked"] * 3


def test_what_successive_halving_notes_is_told(told: Any) -> None:
    four = [better(0.1)] * 4  # as many, for the fifth is in a bracket that compares at once
    rungs = [more["rungs"] for event, more in told(four, pruner="hyperband")]
    assert rungs[-1] and all(name.startswith("completed_rung_") for name in rungs[-1])


@pytest.mark.parametrize("foreseen", [True, False])
def test_why_it_gives_up_is_told(told: Any, foreseen: bool) -> None:
    def crash(config: Any) -> None:
        raise OSError("no space left on device")

    [(event, more)] = told([], fail("the loss is not finite") if foreseen else crash)
    assert event == "given_up" and more["foreseen"] is foreseen
    assert ("not finite" if foreseen else "no space left") in more["reason"]
