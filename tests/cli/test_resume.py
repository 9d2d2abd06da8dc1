"""`welltuned resume`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from resuming import Killed
from support import config_values
from welltuned.engines.loop_state import LoopState
from welltuned.runs import Run


def test_a_run_goes_on(
    call: Any, tiny: Any, few: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"task": {"pooling": "mean"}, "training": {"num_train_epochs": 1, "save_steps": 1}}
    values = config_values(tiny("bert"), few, {"type": "full"}, tmp_path / "run", **parts)
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(values))
    after = LoopState.after

    def killed(state: LoopState, step: Any, gradients: Any) -> Any:
        found = after(state, step, gradients)
        if step.number == 2:
            raise Killed
        return found

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(LoopState, "after", killed)
        call("train", str(file))
    run = Run(tmp_path / "run")
    status, _, err = call("train", str(file))
    assert status == 2 and f"`welltuned resume {run.folder}`" in err
    status, out, err = call("resume", str(run.folder), "--json")
    assert status == 0, err
    assert json.loads(out)["training"]["steps"] == 6
    assert run.is_finished and not run.was_killed


def test_what_is_no_run_is_refused(call: Any, tmp_path: Path) -> None:
    status, _, err = call("resume", str(tmp_path))
    assert status == 2 and "[run.not_a_run]" in err


def test_a_comparison_names_the_command_that_began_it(call: Any, tmp_path: Path) -> None:
    values = {"schema_version": 1, "command": "welltuned compare a.yaml seeds=2"}
    (tmp_path / "comparison.json").write_text(json.dumps(values))
    status, _, err = call("resume", str(tmp_path))
    assert status == 2 and "-> welltuned compare a.yaml seeds=2 [" in err
