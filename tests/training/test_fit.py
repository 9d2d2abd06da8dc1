"""Which engine a run has, also below a contrast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from support import session_for
from welltuned.engines import torch_loop
from welltuned.training.fit import fit

SHORT = {"num_train_epochs": 1}


@pytest.mark.parametrize(
    "strategy", ["full", {"type": "contrastive", "group_size": 8, "rounds": 1}]
)
def test_a_loop_of_ones_own_runs_the_steps(
    tiny: Callable[..., str], few: str, monkeypatch: pytest.MonkeyPatch, strategy: Any
) -> None:
    asked: list[Any] = []

    def train(job: Any) -> Any:
        asked.append(job)
        return torch_loop.fit_with_loop(job)

    module: Any = ModuleType("loop_of_mine")
    module.train = train
    monkeypatch.setitem(sys.modules, "loop_of_mine", module)
    session = session_for(tiny("bert"), few, strategy, engine="loop_of_mine.train", training=SHORT)
    outcome = fit(session, session.job())
    assert len(asked) == 1
    assert outcome.steps == 6
    assert (outcome.head is None) is (strategy == "full")


def test_a_head_alone_takes_no_steps(tiny: Callable[..., str], few: str) -> None:
    head = {"type": "partial", "num_blocks": 0}
    session = session_for(tiny("bert"), few, head, training={"learning_rate": "auto", **SHORT})
    assert fit(session, session.job()).lbfgs is not None
