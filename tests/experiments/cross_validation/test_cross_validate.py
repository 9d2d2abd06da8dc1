"""A run of each fold and one on all of them: as users start it, stop it, and go on with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import welltuned as wt
from faults import refused
from resuming import Killed, Notes
from support import config_values
from welltuned.cli.console.run import results_lines
from welltuned.config import RunConfig, run_config_from
from welltuned.engines import distributed
from welltuned.errors import InputError
from welltuned.experiments.cross_validation import cross_validate
from welltuned.experiments.cross_validation.cross_validate import (
    cross_validate_or_resume,
    resume_cross_validation,
    run_cross_validation,
)
from welltuned.reports.write import write_report
from welltuned.runs import Run
from welltuned.runs.cross_validated import SPENT
from welltuned.training import train
from welltuned.training.observer import Observer

Ask = Callable[..., RunConfig]


@pytest.fixture(scope="module")
def asked(tiny: Any, few: str) -> Ask:
    """`asked(folder)`: the head alone, one epoch, two folds of 60 texts."""

    def ask(folder: Path, **parts: Any) -> RunConfig:
        usual = {"task": {"pooling": "mean"}, "evaluation": {"untrained": False}}
        parts = {**usual, "training": {"num_train_epochs": 1}, **parts}
        data: Any = {"train": few, "folds": 2}
        strategy = {"type": "partial", "num_blocks": 0}
        return run_config_from(config_values(tiny("bert"), data, strategy, folder, **parts))

    return ask


@pytest.fixture(scope="module")
def whole(asked: Ask, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished one. To be read, not changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "write_run_report", lambda run: None)
        folder = tmp_path_factory.mktemp("folds") / "run"
        return run_cross_validation(asked(folder), command="welltuned train a.yaml data.folds=2")


# --- What is there afterwards --------------------------------------------------------


def test_every_example_is_answered_by_a_model_that_had_not_learned_from_it(whole: Run) -> None:
    rows = list(whole.read_lines("predictions.jsonl"))
    assert len({row["id"] for row in rows}) == len(rows) == 60
    for number in (0, 1):
        run = Run(whole.folder / "folds" / str(number))
        cut = run.read("data.json")["cut"]
        tested = [int(r["id"].rpartition(":")[2]) for r in rows if r["fold"] == number]
        assert tested == cut["test"] and not set(tested) & set(cut["validation"])


def test_the_runs_inside_are_ordinary_and_finished(whole: Run) -> None:
    names = ["folds/0", "folds/1", "final"]
    runs = [Run(whole.folder / name) for name in names]
    assert [run.state for run in runs] == ["finished"] * 3
    assert [run.config["data"]["fold"] for run in runs] == [0, 1, "all"]
    assert all((run.model / "welltuned.json").exists() for run in runs)
    assert not any(run.checkpoints.exists() or run.snapshots.exists() for run in runs)
    assert [row["run"] for row in whole.read_lines(SPENT)] == names
    assert "test" in runs[0].results and "test" not in runs[2].results


def test_scores_are_of_all_folds_and_the_model_is_the_final_one(whole: Run) -> None:
    results = whole.results
    folds = results["cross_validation"]["folds"]
    mean = sum(fold["scores"]["accuracy"] for fold in folds) / 2
    assert results["test"]["accuracy"] == pytest.approx(mean), "folds of one size"
    low, high = results["test"]["accuracy_ci95"]
    assert low <= mean <= high
    assert whole.proven_model() == whole.folder / "final" / "model"
    assert len(wt.load(whole).predict(["a good film"])) == 1
    trained = Run(whole.folder / "final").read("data.json")["splits"]
    assert trained["train"]["rows"] + trained["validation"]["rows"] == 60


def test_its_report_and_its_lines_tell_of_the_folds(whole: Run) -> None:
    page = write_report(whole).read_text(encoding="utf-8")
    assert 'href="folds/0/report.html"' in page and 'href="final/report.html"' in page
    assert "welltuned train a.yaml data.folds=2" in page
    told = "\n".join(results_lines(whole))
    assert "2 folds     accuracy " in told and "trained on all folds" in told
    assert "各折" in write_report(whole, "zh").read_text(encoding="utf-8")


def test_a_finished_one_does_not_go_on(whole: Run, asked: Ask) -> None:
    with refused("folds.finished_already"):
        wt.resume(whole, observer=Observer())
    with refused("run.folder_in_use"):
        run_cross_validation(asked(whole.folder))


# --- Interruptions -------------------------------------------------------------------


class KilledIn(Notes):
    """Dies in the second step of a run, and remembers which runs began."""

    def __init__(self, run: int | None = None) -> None:
        super().__init__()
        self.entered: list[int] = []
        self.steps: list[tuple[int, int]] = []
        self._run = run

    def entered_run(self, number: int, total: int) -> None:
        self.entered.append(number)

    def stepped(self, step: Any) -> None:
        self.steps.append((self.entered[-1], step.step))
        if self.entered[-1] == self._run and step.step == 2:
            raise Killed


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads the pages."""
    monkeypatch.setattr(train, "write_run_report", lambda run: None)
    monkeypatch.setattr(cross_validate, "write_run_report", lambda run: None)


def test_it_goes_on_with_the_run_that_was_interrupted(
    asked: Ask, whole: Run, tmp_path: Path, plain: None
) -> None:
    config = asked(tmp_path / "run", training={"num_train_epochs": 1, "save_steps": 1})
    with pytest.raises(Killed):
        cross_validate_or_resume(config, KilledIn(1), "welltuned compare", None)
    run = Run(tmp_path / "run")
    assert [row["run"] for row in run.read_lines(SPENT)] == ["folds/0"]
    again = KilledIn()
    cross_validate_or_resume(config, again, None, None)
    assert again.steps[0] in ((1, 2), (1, 3)), "nothing of the first fold, nor of the first step"
    assert run.is_finished and not (run.folder / "final").exists()
    assert run.results["cross_validation"]["final"] is None
    assert run.results["test"] == whole.results["test"]
    assert run.results["cost"]["before_resuming"]["seconds"] > 0
    assert run.read("environment.json")["command"] == "welltuned compare"


def test_other_data_and_other_settings_are_refused(asked: Ask, tmp_path: Path, plain: None) -> None:
    folder = tmp_path / "run"
    with pytest.raises(Killed):
        run_cross_validation(asked(folder), KilledIn(0))
    with refused("folds.resumed_with_changes"):
        wt.resume(folder, accept=["data"], observer=Observer())
    with refused("run.interrupted_here"):
        run_cross_validation(asked(folder))
    start = Run(folder).read("start.json")
    Run(folder).write("start.json", {**start, "data_fingerprint": "another"})
    with refused("folds.data_changed"):
        resume_cross_validation(folder)


def test_what_cannot_work_is_refused_before_there_is_a_folder(asked: Ask, tmp_path: Path) -> None:
    values = asked(tmp_path / "run").model_dump(mode="json")
    nowhere = run_config_from({**values, "model": {"name": str(tmp_path / "none")}})
    with pytest.raises(InputError):
        run_cross_validation(nowhere)
    assert not (tmp_path / "run").exists()


def test_what_never_began_is_refused(asked: Ask, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    run.set_status("failed")
    run.write("config.yaml", asked(run.folder).model_dump(mode="json"))
    with refused("folds.never_began"):
        wt.resume(run, observer=Observer())


def test_several_processes_are_refused(
    asked: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "processes", lambda: 2)
    with refused("folds.several_processes"):
        run_cross_validation(asked(tmp_path / "run"))


@pytest.mark.slow
def test_the_command_line_trains_stops_and_goes_on(
    call: Any, asked: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, file = tmp_path / "run", tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(asked(folder).model_dump(mode="json")))
    began = train.train_or_resume

    def killed(config: RunConfig, *rest: Any) -> Run:
        if config.data.fold == 1:
            raise Killed
        return began(config, *rest)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(train, "train_or_resume", killed)
        call("train", str(file))
    status, _, err = call("train", str(file))
    assert status == 2 and f"`welltuned resume {folder}`" in err
    status, out, err = call("resume", str(folder), "--json")
    assert status == 0, err
    assert json.loads(out)["cross_validation"]["final"] == "final"
