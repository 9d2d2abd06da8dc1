"""A sweep on a terminal and without one."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from rich.console import Console

from trials import Ask, Imagined
from welltuned.cli.console.sweep import SweepConsole, sweep_lines, trials_table
from welltuned.experiments.search.plan import plan_sweep
from welltuned.experiments.search.sweep import run_sweep

SWEEP = {
    "space": {"training.learning_rate": [1e-3, 2e-3, 3e-3, 4e-3, 1e-1], "strategy.r": [8]},
    "sampler": "grid",
}


def told(ask: Ask, terminal: bool) -> tuple[str, Path]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=200, soft_wrap=True)
    observer = SweepConsole(console)
    try:
        folder = run_sweep(
            ask("lora", training={"learning_rate": 1e-3}, sweep=SWEEP), None, observer
        )
    finally:
        observer.close()
    return file.getvalue(), folder


def test_without_a_terminal_there_is_a_line_a_trial(ask: Ask, imagined: Imagined) -> None:
    text, folder = told(ask, terminal=False)
    lines = text.splitlines()
    assert (
        lines[0].startswith("sweep of lora on ") and "20 trials by validation macro_f1" in lines[0]
    )
    assert str(folder) in lines[1]
    assert "training.learning_rate: 0.001 | 0.002 | 0.003 | 0.004 | 0.1 (usually 0.001)" in text
    trials = [line for line in lines if line.startswith("trial ")]
    assert len(trials) == 5
    assert re.match(
        r"trial 1 0\.8398 in 0\.[0-4] s \(best 0\.9000, trial 0\) · learning_rate=0\.002", trials[1]
    )
    assert trials[4].startswith("trial 4 pruned at step 1 of 3")
    assert "\x1b" not in text


def test_on_a_terminal_the_table_is_drawn_again_and_then_taken_away(
    ask: Ask, imagined: Imagined
) -> None:
    text, _ = told(ask, terminal=True)
    assert "4 finished · 1 pruned" in text and "* the defaults" in text
    assert not [line for line in text.splitlines() if line.startswith("trial 0 0.9")]
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor is there again"


def test_the_table_shows_the_best_first(ask: Ask, imagined: Imagined) -> None:
    config = ask("lora", training={"learning_rate": 1e-3}, sweep=SWEEP)
    plan = plan_sweep(config)
    from welltuned.experiments.search.journal import Journal

    run_sweep(config)
    console = Console(width=120, file=io.StringIO())
    console.print(trials_table(plan, Journal(plan).rows()))
    rows = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert rows[0] == ["trial", "macro_f1", "learning_rate", "r"]
    assert rows[1] == ["*", "0", "0.9000", "0.001", "8"]
    assert [row[0] for row in rows[2:5]] == ["1", "2", "3"]


def test_results_are_plain_lines(ask: Ask, imagined: Imagined) -> None:
    _, folder = told(ask, terminal=False)
    lines = sweep_lines(folder)
    assert lines[1] == "trials      4 finished, 1 pruned"
    assert lines[2] == "best        validation macro_f1 0.9000 (trial 0) · defaults 0.9000"
    assert lines[3] == "            learning_rate=0.001 r=8"
    assert not any(line.startswith("mattered") for line in lines), "five trials tell too little"
    assert lines[-2] == f"test it     welltuned train {folder / 'best.yaml'}"
    found = json.loads((folder / "sweep.json").read_text())
    shares = {"training.learning_rate": 0.75, "strategy.r": 0.25}
    (folder / "sweep.json").write_text(json.dumps({**found, "importance": shares}))
    assert "mattered    training.learning_rate 75% · strategy.r 25%" in sweep_lines(folder)
