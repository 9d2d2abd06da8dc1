"""What a person at a terminal sees of a run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from support import config_values, make_rows, write_rows
from welltuned.cli.console.run import (
    ConsoleObserver,
    phase_lines,
    render_trainable,
    results_lines,
)
from welltuned.config import run_config_from
from welltuned.engines.events import Step
from welltuned.models.freezing import TableRow
from welltuned.runs import Run
from welltuned.tasks.classification import SingleLabel
from welltuned.tasks.classification.single_label import ClassPresenter
from welltuned.training.preparation.prepare import prepare


def watching(terminal: bool = False) -> tuple[ConsoleObserver, io.StringIO]:
    buffer = io.StringIO()
    console = Console(file=buffer, force_terminal=terminal, width=200, soft_wrap=True)
    observer = ConsoleObserver(console)
    observer._metric = "macro_f1"  # a prepared run tells which
    return observer, buffer


def step(number: int, total: int = 40) -> Step:
    return Step(number, total, number / 20, 0.5, 1e-3, 1.0, examples=8, tokens=80, seconds=0.1)


def test_a_prepared_run_is_told_in_a_few_lines(tiny: Any, sentiment: str, tmp_path: Path) -> None:
    values = config_values(tiny("bert"), sentiment, "lora", tmp_path / "run")
    observer, buffer = watching()
    observer.prepared(prepare(run_config_from(values)))
    lines = buffer.getvalue().splitlines()
    assert lines[0] == (
        f"lora on {tiny('bert')}: one of 2 labels (negative, positive); "
        "train 96, validation 12, test 12"
    )
    assert any("validation and test: split off from" in line for line in lines)
    assert any(line.startswith("· warmup_ratio = ") for line in lines)
    assert lines[-1] == f"· run folder {tmp_path / 'run'}"


def test_a_task_without_labels_is_told_in_its_own_words(
    tiny: Any, sentiment: str, tmp_path: Path
) -> None:
    """The terminal asks the problem and knows no task: there need not be labels."""

    class Spans(ClassPresenter):
        def headline(self, facts: Mapping[str, Any]) -> str:
            return f"the span that answers, in {facts['documents']} documents"

    class SpanProblem(SingleLabel):
        @property
        def presenter(self) -> ClassPresenter:
            return Spans(())

    values = config_values(tiny("bert"), sentiment, "lora", tmp_path / "run")
    plan = prepare(run_config_from(values))
    assert isinstance(plan.problem, SingleLabel)
    plan.data.facts.task = {"problem": "spans", "documents": 7}
    observer, buffer = watching()
    observer.prepared(replace(plan, problem=SpanProblem(plan.problem.labelling)))
    assert "the span that answers, in 7 documents; train 96" in buffer.getvalue()


@pytest.mark.parametrize("name", ["[/INST]", "[red]"])
def test_labels_in_brackets_are_shown_as_they_are(name: str, tiny: Any, tmp_path: Path) -> None:
    rows = [{**row, "label": name if i < 8 else "no"} for i, row in enumerate(make_rows(60))]
    data = write_rows(tmp_path / "odd.jsonl", rows)
    observer, buffer = watching()
    values = config_values(tiny("bert"), data, "lora", tmp_path / "run")
    observer.prepared(prepare(run_config_from(values)))
    observer.noted(f"a note of {name}")
    text = buffer.getvalue()
    assert f"({name}, no)" in text
    assert f"'{name}' has 6 training examples" in text
    assert f"a note of {name}" in text


def test_without_a_terminal_few_plain_lines_are_printed() -> None:
    """The last step always, others at long intervals; scores when there are new ones."""
    observer, buffer = watching()
    observer.started(40)
    for number in range(1, 41):
        observer.stepped(step(number))
    observer.evaluated(40, 2.0, {"macro_f1": 0.75}, best=True)
    observer.evaluated(41, 2.0, {"macro_f1": 0.5}, best=False)
    observer.changed(42, "unfroze block 3")
    assert buffer.getvalue().splitlines() == [
        "step 40/40 · epoch 2.00 · loss 0.5000 · 80 examples/s",
        "· step 40: validation macro_f1 0.7500 (best so far)",
        "· step 41: validation macro_f1 0.5000",
        "· step 42: unfroze block 3",
    ]


def test_a_slow_step_is_told_in_seconds_an_example() -> None:
    observer, buffer = watching()
    observer.started(1)
    observer.stepped(Step(1, 1, 1.0, 0.5, 0.01, 1.0, examples=2, tokens=9, seconds=25.0))
    assert "12 s/example" in buffer.getvalue() and "0 examples/s" not in buffer.getvalue()


def test_on_a_terminal_one_line_lives() -> None:
    observer, buffer = watching(terminal=True)
    observer.started(40)
    observer.stepped(step(1))
    observer.evaluated(1, 1.0, {"macro_f1": 0.75}, best=True)
    observer.evaluated(2, 1.0, {"macro_f1": 0.5}, best=False)
    observer.stepped(step(40))
    observer.close()
    text = buffer.getvalue()
    assert "40/40" in text
    assert "validation macro_f1 0.5000 (best 0.7500)" in text
    assert "\x1b[?25h" in text, "the cursor is given back"


def test_long_work_is_told_when_it_is_done() -> None:
    observer, buffer = watching()
    for done in (500, 1000, 1200):
        observer.working("tokenising train", done, 1200)
    assert buffer.getvalue() == "tokenising train: 1,200\n"


def test_what_trains_is_a_table_with_a_sum() -> None:
    rows = [TableRow("embeddings", 3000, 0), TableRow("block 0", 1000, 250), TableRow("head", 6, 6)]
    buffer = io.StringIO()
    Console(file=buffer, width=100).print(render_trainable(rows))
    cells = [line.split() for line in buffer.getvalue().splitlines()]
    assert ["embeddings", "3,000", "0", "0.00%"] in cells
    assert ["block", "0", "1,000", "250", "25.00%"] in cells
    assert ["head", "6", "6", "100.00%"] in cells
    assert ["all", "4,006", "256", "6.39%"] in cells


def test_results_are_lines_that_can_be_cut_by_a_program(finished: Run) -> None:
    lines = dict(line.split(maxsplit=1) for line in results_lines(finished))
    results = finished.results
    told = ["diagnosis"] if results["diagnosis"]["finding"] is None else ["diagnosis", "next"]
    shown = ["run", "test", "majority", "untrained", "cost", "time", "proof", *told, "report"]
    assert list(lines) == shown
    assert lines["diagnosis"].startswith(results["diagnosis"]["verdict"])
    assert lines["run"] == str(finished.folder)
    assert f"macro_f1 {results['baselines']['majority']['macro_f1']:.3f}" in lines["majority"]
    parameters = results["parameters"]
    assert f"{parameters['trainable']:,} of {parameters['total']:,} weights" in lines["cost"]
    assert "0 of " in lines["proof"]


def test_where_the_time_went_is_a_table_with_a_sum(finished: Run) -> None:
    cost = finished.results["cost"]
    lines = phase_lines(cost)
    assert lines[0].split()[0] == max(cost["phases"], key=lambda name: cost["phases"][name])
    assert {line.split()[0] for line in lines} == {*cost["phases"], "all"}
    [training] = [line for line in lines if line.startswith("train ")]
    assert "training the model" in training and training.endswith("%")
    assert lines[-1].split()[-1] == "100.0%"
    assert phase_lines({**cost, "phases": {}}) == []
