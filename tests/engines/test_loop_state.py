"""Between two steps: what is reported, saved and validated, and in which order."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import pytest

from support import job_for
from welltuned.engines import torch_loop
from welltuned.engines.events import Listener, Step
from welltuned.engines.snapshot import Snapshot
from welltuned.errors import Stopped

FULL = {"type": "full"}


class Order(Listener):
    """Notes what happens."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def stepped(self, step: Step) -> None:
        self.seen.append(f"step {step.step}")

    def evaluated(self, step: int, *_: Any) -> None:
        self.seen.append(f"validation {step}")


@pytest.fixture
def job(tiny: Any, few: str) -> tuple[Any, Order]:
    """Six steps, validated twice and saved at every second."""
    heard = Order()
    training = {"num_train_epochs": 1, "save_steps": 2, "eval_strategy": "steps", "eval_steps": 4}
    made = job_for(tiny("bert"), few, FULL, training=training)
    made = replace(
        made,
        listener=heard,
        save=lambda found: heard.seen.append(f"save {found.step}"),
        validate=lambda: {"macro_f1": 0.5},
    )
    return made, heard


def test_a_step_is_reported_then_saved_then_validated(job: tuple[Any, Order]) -> None:
    made, heard = job
    torch_loop.fit_with_loop(made)
    assert heard.seen[:8] == [
        "step 1", "step 2", "save 2", "step 3", "step 4", "save 4", "validation 4", "step 5",
    ]  # fmt: skip


def test_who_goes_on_after_a_step_validates_it_first(job: tuple[Any, Order]) -> None:
    made, heard = job
    kept: list[Snapshot] = []

    def keep(found: Snapshot) -> None:
        weights = {name: weight.detach().clone() for name, weight in found.weights.items()}
        kept.append(replace(found, weights=weights))

    torch_loop.fit_with_loop(replace(made, save=keep))
    heard.seen.clear()
    torch_loop.fit_with_loop(replace(made, start=kept[1]))
    assert heard.seen[:3] == ["validation 4", "step 5", "step 6"]


def test_a_stop_within_validation_saves_the_step_before(job: tuple[Any, Order]) -> None:
    made, heard = job

    def stopped() -> Any:
        raise Stopped(signal.SIGTERM)

    with pytest.raises(Stopped):
        torch_loop.fit_with_loop(replace(made, validate=stopped))
    assert heard.seen[-2:] == ["step 4", "save 4"], "once, as it is at every second step"
