"""LP-FT: the head alone at first, then everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from faults import refused
from support import STRATEGIES, job_for, session_for
from welltuned.engines import torch_loop
from welltuned.engines.events import Listener, Step


class Watching(Listener):
    """Notes which weights moved in each step, and what was said of it."""

    def __init__(self) -> None:
        self.job: Any = None
        self.before: dict[str, torch.Tensor] = {}
        self.moved: list[set[str]] = []
        self.told: list[tuple[int, str]] = []

    def look(self) -> None:
        self.before = {n: p.detach().clone() for n, p in self.job.model.named_parameters()}

    def stepped(self, step: Step) -> None:
        named = self.job.model.named_parameters()
        self.moved.append({n for n, p in named if not torch.equal(p, self.before[n])})
        self.look()

    def changed(self, step: int, what: str) -> None:
        self.told.append((step, what))


@pytest.mark.parametrize("strategy", ["full", "partial", "lora", "houlsby", "prefix"])
def test_everything_but_the_head_is_still_for_its_share_of_the_steps(
    strategy: str, tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    watching = Watching()
    training = {"max_steps": 10, "num_train_epochs": "auto", "eval_strategy": "no"}
    protection = {"type": "lp_ft", "share": 0.4}
    job = job_for(
        tiny("bert"), sentiment, STRATEGIES[strategy], watching, training=training,
        protection=protection,
    )  # fmt: skip
    watching.job = job
    watching.look()
    torch_loop.fit_with_loop(job)
    head = {n for n in watching.before if job.anatomy.depth(n) == 0 and "original" not in n}
    trained = {id(p) for group in job.groups for p in group.parameters}
    every = {n for n, p in job.model.named_parameters() if id(p) in trained}
    assert watching.told == [(1, "the head alone trains"), (5, "unfroze everything below the head")]
    assert all(moved == head for moved in watching.moved[:4])
    assert all(moved > head and moved <= every for moved in watching.moved[4:])
    assert watching.moved[-1] == every


def test_a_strategy_without_a_body_that_trains_is_refused(tiny: Any, sentiment: str) -> None:
    with refused("protection.lp_ft_head_only"):
        session_for(tiny("bert"), sentiment, STRATEGIES["head"], protection="lp_ft")


def test_gradual_unfreezing_begins_with_the_head_already(tiny: Any, sentiment: str) -> None:
    with refused("protection.lp_ft_with_schedule"):
        session_for(tiny("bert"), sentiment, STRATEGIES["gradual"], protection="lp_ft")


def test_a_task_without_a_new_head_has_none_to_begin_with(causal: Any, instructions: str) -> None:
    with refused("protection.lp_ft_without_head"):
        task = {"type": "generation", "max_length": 48}
        session_for(causal("llama"), instructions, "lora", task=task, protection="lp_ft")
