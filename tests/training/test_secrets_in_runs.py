"""A token that a run was given stands nowhere in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from faults import refused
from resuming import Killed, Killing
from support import config_values
from welltuned.config import run_config_from
from welltuned.experiments.comparison.config import comparison_from
from welltuned.experiments.comparison.folder import asked_for
from welltuned.rlhf.read_config import rlhf_config_from
from welltuned.rlhf.resume import begin
from welltuned.runs import Run
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.resumable_folder import enter
from welltuned.schema.secrets import MASK
from welltuned.training.preparation.load_config import load_config
from welltuned.training.train import run_training

BY_FORM, BY_KEY = "hf_PlantedPlantedPlanted0123456789", "plantedcorrecthorse"
TRAINER = {"hub_token": BY_KEY, "run_name": BY_FORM}


def planted(folder: Path) -> list[str]:
    """The files that hold what was planted."""
    files = (path for path in folder.rglob("*") if path.is_file())
    secrets = (BY_FORM.encode(), BY_KEY.encode())
    return [str(file) for file in files if any(one in file.read_bytes() for one in secrets)]


def test_of_a_run_by_the_command_line(
    tiny: Any, sentiment: str, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", BY_FORM)
    folder = tmp_path / "run"
    status, out, err = call(
        "train", f"model={tiny('bert')}", f"data={sentiment}", "strategy=full", "engine=hf",
        f"training.trainer.hub_token={BY_KEY}", f"training.trainer={{run_name: {BY_FORM}}}",
        f"training.trainer.hub_token={BY_KEY}", "training.max_steps=1", "task.pooling=mean",
        f"output_dir={folder}",
    )  # fmt: skip
    assert status == 0, err
    assert planted(folder) == []
    assert BY_KEY not in out + err and BY_FORM not in out + err
    run = Run.open(folder)
    assert run.config["training"]["trainer"] == {"run_name": MASK, "hub_token": MASK}
    assert f"hub_token={MASK}" in run.read("environment.json")["command"]
    first = (folder / "config.yaml").read_text().splitlines()[0]
    assert first.startswith("#") and "training.trainer.hub_token" in first
    with refused("config.secret_masked", "config.secret_masked", key="training.trainer.run_name"):
        load_config(str(folder / "config.yaml"), [])
    again = [f"training.trainer={{hub_token: {BY_KEY}, run_name: {BY_FORM}}}"]
    assert load_config(str(folder / "config.yaml"), again).training.trainer == TRAINER


def test_of_the_configs_of_comparisons_sweeps_and_pipelines(
    tiny: Any, sentiment: str, ratings: str, tmp_path: Path
) -> None:
    values = config_values(
        tiny("bert"),
        sentiment,
        "full",
        tmp_path / "rlhf",
        training={"trainer": TRAINER},
        engine="hf",
    )
    compared = {key: value for key, value in values.items() if key != "strategy"}
    config = comparison_from({**compared, "strategies": ["full"], "seeds": 1})
    (tmp_path / "comparison").mkdir()
    Comparison(tmp_path / "comparison").write("comparison.json", {"asked": asked_for(config)})
    enter(tmp_path / "sweep", {"config": values})
    enter(tmp_path / "sweep", {"config": values})
    parts = {key: values[key] for key in ("model", "data", "strategy", "output_dir")}
    sft = {"training": {"trainer": TRAINER}, "engine": "hf"}
    reward = {"data": ratings, **sft}
    begin(rlhf_config_from({"pipeline": "rlhf", **parts, "sft": sft, "reward": reward}))
    assert planted(tmp_path) == []
    for file in ("sweep/config.yaml", "rlhf/config.yaml"):
        text = (tmp_path / file).read_text()
        assert text.startswith("# ") and MASK in text and yaml.safe_load(text)


def test_of_a_run_that_was_interrupted(
    tiny: Any, sentiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start.json`, and the snapshots that it goes on from."""
    monkeypatch.setenv("SERVICE_TOKEN", BY_KEY)
    training = {"trainer": TRAINER, "save_steps": 1, "max_steps": 3, "num_train_epochs": "auto"}
    parts = {"training": training, "engine": "hf", "task": {"pooling": "mean"}}
    values = config_values(tiny("bert"), sentiment, "full", tmp_path / "run", **parts)
    with pytest.raises(Killed):
        run_training(run_config_from(values), Killing(2))
    run = Run(tmp_path / "run")
    assert MASK in (run.folder / "start.json").read_text() and any(run.snapshots.iterdir())
    assert planted(tmp_path) == []


def test_of_what_the_command_line_prints_of_an_error(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", BY_KEY)
    for more in ([], ["--json"]):
        status, out, err = call("predict", tmp_path / f"{BY_FORM}-{BY_KEY}", "good", *more)
        assert status == 2 and MASK in out + err
        assert BY_FORM not in out + err and BY_KEY not in out + err


def test_of_an_error_that_quotes_it(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run")
    run.set_status("failed", 3, f"401 Unauthorized for {BY_FORM}")
    assert planted(run.folder) == [] and MASK in str(run.status["error"])
