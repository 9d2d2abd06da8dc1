"""Killed at any moment, and begun again until it is done, a run ends as one never interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forking import Forks
from storming import Lives, Pipeline, Storm, Whole, lived, reached, saved, seeded
from suffering import die_after, forget_moments

GROUP = "SIGKILL at a random moment"
STEPS = {"num_train_epochs": 6, "per_device_train_batch_size": 4}
"""36 of them, so that many kills come while it trains."""


@pytest.fixture(scope="module")
def engines() -> dict[str, Whole]:
    """What was left by runs that were never interrupted, by engine."""
    return {}


@pytest.fixture(params=["torch", pytest.param("hf", marks=pytest.mark.storm)])
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
    assert lives.one(suffers=die_after, suffering={"step": 5})
    assert (reached(lives.run), saved(lives.run)) == (5, 4)
    lives.one(suffers=forget_moments)
    with storm.control("something differs"):
        lives.judge(whole)


# --- A pipeline -----------------------------------------------------------------------------------


@seeded(0, 17)
def test_a_pipeline(
    number: int, pipelines: Callable[[str], Pipeline], tmp_path: Path, storm: Storm
) -> None:
    make, whole = pipelines("classifier")
    make(tmp_path / "run").outlive(storm, whole)
