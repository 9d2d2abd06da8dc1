"""What is told of a head that was solved for, which has no curve."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import tune
from welltuned.schema.messages import render_message
from welltuned.training.diagnosis import finding_lines, verdict
from welltuned.training.diagnosis.optimum import optimum_found

pytestmark = pytest.mark.charts

HEAD = {"type": "partial", "num_blocks": 0}


def solution(converged: bool) -> Any:
    path = [
        {"l2": l2, "iterations": 700, "gradient_norm": norm, "converged": done}
        for l2, norm, done in ((1.0, 0.5, True), (0.1, 2.5e-7, converged))
    ]
    return {"lbfgs": {"l2": 0.1, "chosen_by": "macro_f1", "path": path}}


def test_a_run_of_steps_has_a_curve_instead() -> None:
    assert optimum_found({}) is None
    assert verdict(None, None) == {"verdict": "healthy", "finding": None}


@pytest.mark.parametrize("converged", [True, False])
def test_the_kept_optimum_is_told_with_all_iterations(converged: bool) -> None:
    told = optimum_found(solution(converged))
    assert told is not None
    assert told["values"] == {"iterations": 1400, "norm": "2.5e-07"}
    assert told["code"] == f"diagnosis.{'solved' if converged else 'not_converged'}"
    [line] = finding_lines(verdict(None, told))
    assert line == f"healthy: {render_message(told)}"


def test_a_report_tells_of_the_optimum_and_draws_no_curve(
    tiny: Callable[..., str], sentiment: str, tmp_path: Path
) -> None:
    run = tune(
        tiny("bert"), sentiment, HEAD, tmp_path / "run",
        task={"pooling": "mean"}, training={"learning_rate": "auto"}, report={"language": "zh"},
    )  # fmt: skip
    told = run.results["diagnosis"]["evidence"]
    assert told["code"] == "diagnosis.solved"
    assert told["values"]["iterations"] == run.results["training"]["steps"]
    assert all(one["converged"] for one in run.results["lbfgs"]["path"])
    page = run.report.read_text(encoding="utf-8")
    assert "没有曲线" in page and "曲线正常" not in page
    training = page.split('id="curves"')[1].split("</section>")[0]
    assert "<svg" not in training and "<table" in training
