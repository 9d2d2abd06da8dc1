"""Artifacts that earlier versions wrote load as they did then, and answer as they did then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import welltuned as wt

FIXTURES = Path(__file__).with_name("fixtures")
RUNS = sorted(folder.parent for folder in FIXTURES.glob("*/*/expected.json"))


@pytest.fixture(params=RUNS, ids=lambda run: f"{run.parent.name}/{run.name}")
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run of an older version, copied with its base model to a place it has never been."""
    shutil.copytree(request.param.parent, tmp_path / "moved")
    return tmp_path / "moved" / request.param.name


def _require_same_answers(folder: Path, expected: Path) -> None:
    rows = json.loads(expected.read_text(encoding="utf-8"))["predictions"]
    answers = wt.load(folder).predict([row["text"] for row in rows])
    for answer, row in zip(answers, rows, strict=True):
        assert answer["prediction"] == row["prediction"]
        now, then = (list(one["probabilities"].values()) for one in (answer, row))
        np.testing.assert_allclose(now, then, atol=1e-4)
    probabilities = [row["probabilities"]["positive"] for row in rows]
    assert max(probabilities) - min(probabilities) > 0.2  # a model that learned nothing shows less


def test_an_old_run_answers_as_it_did(run: Path) -> None:
    _require_same_answers(run, run / "expected.json")


def test_so_does_its_model_folder_alone(run: Path) -> None:
    expected = run / "expected.json"
    for file in ("config.yaml", "results.json", "status.json"):
        (run / file).unlink()
    _require_same_answers(run / "model", expected)
