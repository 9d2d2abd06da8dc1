"""Where a model's name leads, and which names lead nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.models.config import ModelConfig
from welltuned.models.loading import read_model_config
from welltuned.models.locations import locate, require_model_there
from welltuned.runs import Run


@pytest.mark.parametrize(
    "name",
    [
        "/nowhere/at/all",
        "./nowhere",
        "../nowhere",
        "~/nowhere",
        "~",
        r"C:\models\bert",
        r"models\bert",
        "runs/last/model",
        "model.safetensors",
        "some/model.GGUF",
    ],
)
def test_a_name_that_can_only_be_a_path_is_called_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: nobody asks the Hub, which takes half a minute of retries without a network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "no-home"))
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", lambda *_, **__: pytest.fail())
    with refused("model.folder_missing", name=name):
        read_model_config(ModelConfig(name=name))


@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen2.5-0.5B", "google/gemma-3.1", "bert-base.v2"])
def test_a_name_of_the_hub_is_left_to_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "google").mkdir()
    require_model_there(name)
    assert locate(name) == name


def test_a_name_beside_runs_is_that_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`runs/lsat` could be on the Hub, but not where `runs` holds runs; the remedy names one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "last").mkdir(parents=True)
    (tmp_path / "runs" / "last" / "status.json").write_text("{}")
    with refused("model.folder_missing", remedy="did you mean 'runs/last'?"):
        require_model_there("runs/lsat")


def test_a_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("")
    with refused("model.is_a_file"):
        read_model_config(ModelConfig(name=str(tmp_path / "model.safetensors")))


def test_a_run_leads_to_its_model(finished: Run) -> None:
    model = ModelConfig(name=str(finished.folder))
    assert model.location == str(finished.model)
    assert read_model_config(model).model_type == "welltuned-pooled"


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_a_run_that_is_not_finished_is_refused(state: str, finished: Run, tmp_path: Path) -> None:
    """Also where its model lies there: nothing has proved it."""
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / "results.json").unlink()
    Run(folder).set_status(state)
    with refused("run.without_model", state=state):
        read_model_config(ModelConfig(name=str(folder)))


def test_offline_what_is_cached_is_found_and_what_is_not_is_explained(
    tiny: Any, tmp_path: Path
) -> None:
    """The variable is read when transformers is imported, so a process of its own asks."""
    cached = tmp_path / "hub" / "models--org--there"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("abc")
    shutil.copytree(tiny("bert"), cached / "snapshots" / "abc")
    code = """
from welltuned.errors import InputError
from welltuned.models.config import ModelConfig
from welltuned.models.loading import own_pooling, read_model_config, read_tokenizer
there = ModelConfig(name="org/there")
print(read_model_config(there).model_type, read_tokenizer(there).pad_token, own_pooling(there))
try:
    read_model_config(ModelConfig(name="org/elsewhere"))
except InputError as error:
    print(error.faults[0].code)
"""
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **offline},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["bert", "[PAD]", "None", "model.not_in_cache"]
