"""A learning curve on a terminal and as plain lines."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from welltuned.cli.console.learning_curve import CurveConsole, curve_lines
from welltuned.experiments.search.forecast import extrapolate_curve

SIZES = np.array([100, 200, 400, 800])
SCORES = np.array([[0.6, 0.62], [0.68, 0.7], [0.74, 0.76], [0.79, 0.8]])


def test_the_chart_shows_sizes_scores_and_what_is_predicted(tmp_path: Path) -> None:
    found = extrapolate_curve("macro_f1", SIZES, SCORES)
    (tmp_path / "learning_curve.json").write_text(json.dumps(found))
    lines = curve_lines(tmp_path)
    assert lines[0].split() == ["examples", "macro_f1"]
    rows = [line.split() for line in lines[1:7]]
    assert [row[0] for row in rows] == ["100", "200", "400", "800", "1,600", "4,000"]
    assert [float(row[1]) for row in rows[:4]] == [0.61, 0.69, 0.75, 0.795]
    assert all("●" in line for line in lines[1:5]) and all("◆" in line for line in lines[5:7])
    places = [line.index(mark) for line, mark in zip(lines[1:7], "●●●●◆◆", strict=True)]
    assert places == sorted(places) and places[0] < places[3], "better scores stand further right"
    assert lines[6].endswith("predicted")
    assert found["advice"] in lines
    assert lines[-1] == f"report      {tmp_path / 'report.html'}"


def test_runs_are_told_one_by_one() -> None:
    file = io.StringIO()
    console = CurveConsole(Console(file=file, force_terminal=False, width=120))
    console.point_started(100, 0)
    console.point_ended(100, 0, 0.61, 12.3)
    console.point_ended(100, 1, 0.62, None)
    console.close()
    first, second = file.getvalue().splitlines()
    assert first.endswith("100 examples, seed 0:  0.6100 in 12.3 s")
    assert second.endswith("seed 1:  0.6200 was there already")
