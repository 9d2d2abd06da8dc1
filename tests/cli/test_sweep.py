"""`welltuned sweep` in processes of its own: what it prints, and what survives a kill."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from comparing import without_processes
from forking import Forks, carry_out_command
from support import config_values
from welltuned.runs import Run

HEAD = {"type": "partial", "num_blocks": 0}
SPACE = {"training.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}


@pytest.fixture
def write_config(tiny: Any, sentiment: str, tmp_path: Path) -> Callable[..., Path]:
    """A config file of a sweep in `tmp_path/sweep`."""

    def write(steps: int = 2, **sweep: Any) -> Path:
        training = {"max_steps": steps, "num_train_epochs": "auto", "logging_steps": 1}
        values = config_values(
            tiny("bert"),
            sentiment,
            HEAD,
            tmp_path / "sweep",
            task={"pooling": "mean"},
            training=training,
            sweep={"space": SPACE, "workers": 1, **sweep},
        )
        file = tmp_path / "sweep.yaml"
        file.write_text(yaml.safe_dump(values))
        return file

    return write


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))


def test_results_go_to_standard_output_and_progress_to_standard_error(
    call: Any, write_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_processes(monkeypatch)
    status, out, err = call("sweep", write_config(), "trials=2", "pruner=none")
    assert status == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if not line.startswith(" "))
    found = summary(tmp_path / "sweep")
    best = found["trials"][found["best"]]
    assert lines["trials"] == "2 finished"
    assert lines["best"].startswith(f"validation macro_f1 {best['value']:.4f} (trial ")
    assert lines["test"] == f"it     welltuned train {tmp_path}/sweep/best.yaml"
    assert Path(lines["report"]).exists()
    assert "trial 0 0." in err and "trial 1 0." in err and "learning_rate=" in err
    assert "training.learning_rate: 0.0001 to 0.1, by factors" in err
    assert "\x1b" not in err + out and "Warning" not in err

    status, out, err = call("sweep", write_config(), "trials=2", "pruner=none", "--json")
    assert status == 0 and "going on: 2 trials are there already" in err
    assert json.loads(out) == summary(tmp_path / "sweep")

    (tmp_path / "sweep" / "report.html").unlink()
    status, out, _ = call("report", tmp_path / "sweep")
    assert (status, out.strip()) == (0, str(tmp_path / "sweep" / "report.html"))
    assert Path(out.strip()).exists()


def test_bad_input_is_one_line_each_with_file_and_line(
    call: Any, write_config: Any, tmp_path: Path
) -> None:
    file = write_config(metric="macro_f2")
    file.write_text(file.read_text().replace("training.learning_rate:", "training.learning_rat:"))
    lines = file.read_text().splitlines()
    status, out, err = call("sweep", file)
    assert (status, out) == (2, "")
    first, second = err.splitlines()
    line = 1 + lines.index("    training.learning_rat:")
    assert first.startswith(f"error: {file}:{line}:5: unknown key 'training.learning_rat'")
    assert "did you mean 'training.learning_rate'?" in first
    line = 1 + lines.index("  metric: macro_f2")
    assert second.startswith(f"error: {file}:{line}:3: no validation score 'macro_f2'")
    assert not (tmp_path / "sweep").exists()


def test_the_verb_explains_itself(call: Any) -> None:
    status, out, _ = call("sweep", "--help")
    assert status == 0 and "welltuned sweep" in out and "trials=30" in out


def test_two_processes_share_a_sweep_and_a_kill_loses_no_finished_trial(
    call: Any, write_config: Any, tmp_path: Path, forks: Forks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two is killed in the middle of a trial; the other one, and a third, go on."""
    file, folder = write_config(steps=60, trials=4, pruner="none"), tmp_path / "sweep"
    victim, other = (
        forks.begin(
            carry_out_command, arguments=["sweep", str(file)], told=str(tmp_path / f"told-{number}")
        )
        for number in range(2)
    )
    wait_for(lambda: bool(of_state(folder, "finished")))
    wait_for(lambda: len(under_way(folder)) == 2)
    victim.kill()
    assert forks.end_of(victim)[0] == -signal.SIGKILL
    safe = {run: (run / "results.json").read_bytes() for run in of_state(folder, "finished")}
    assert forks.end_of(other) == (0, None)
    without_processes(monkeypatch)
    status, _, told = call("sweep", file)
    assert status == 0, told
    assert all((run / "results.json").read_bytes() == content for run, content in safe.items())
    trials = summary(folder)["trials"]
    states = [trial["state"] for trial in trials]
    assert states.count("finished") == 4 and states.count("repeated") == 1 and len(states) == 5
    lost = trials[states.index("repeated")]
    again = [trial for trial in trials if trial["values"] == lost["values"]]
    assert [trial["state"] for trial in again] == ["repeated", "finished"]
    run = Run(folder / lost["run"])
    assert run.status["error"] == "its process ended without a word"
    assert len({trial["values"]["training.learning_rate"] for trial in trials}) == 4
    assert len(list(folder.glob("trials/*/model"))) == 1
    assert "Traceback" not in (tmp_path / "told-1").read_text()


def of_state(folder: Path, state: str) -> list[Path]:
    files = sorted(folder.glob("trials/*/status.json"))
    return [file.parent for file in files if Run(file.parent).state == state]


def under_way(folder: Path) -> list[Path]:
    return [run for run in of_state(folder, "running") if Run(run).status["step"] >= 1]


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not ready():
        assert time.monotonic() < until, "the sweep did not come so far"
        time.sleep(0.02)
