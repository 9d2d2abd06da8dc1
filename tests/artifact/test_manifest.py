"""`welltuned.json`: everything an artifact knows, in the version of its format that it says."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from faults import refused
from welltuned.artifact.manifest import (
    ArtifactManifest,
    Origin,
    find_artifact,
    is_adapter,
    is_artifact,
)
from welltuned.artifact.save_load import load_artifact
from welltuned.errors import Fault, InputError, Place
from welltuned.models.config import ModelConfig
from welltuned.runs import Run
from welltuned.strategies import Lora
from welltuned.tasks.classification import SingleLabel
from welltuned.tasks.classification.labels import Labels

VERSION_1 = Path(__file__).with_name("fixtures") / "version-1"
MANIFEST = ArtifactManifest(
    problem=SingleLabel(Labels("single_label", ("a", "b"), ("a", "größe"))),
    strategy=Lora(r=3, lora_alpha=7, target_modules="all-linear"),
    base=ModelConfig(name="somebody/model", revision="v2", dtype="bfloat16"),
    origin=Origin("0123", ("classifier.weight",)),
    max_length=48,
    precision="bf16",
)


def changed(folder: Path, **values: Any) -> Path:
    """A folder whose manifest says something else."""
    MANIFEST.write(folder)
    file = folder / "welltuned.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | values))
    return folder


def refusal(folder: Path) -> Fault:
    with pytest.raises(InputError) as error:
        ArtifactManifest.read(folder)
    (fault,) = error.value.faults
    return fault


# --- Written and read -------------------------------------------------------------


def test_what_was_written_is_read(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    again = ArtifactManifest.read(tmp_path)
    assert again.problem.to_dict() == MANIFEST.problem.to_dict()
    for key in ("strategy", "base", "origin", "max_length", "precision", "base_beside"):
        assert getattr(again, key) == getattr(MANIFEST, key)


def test_all_options_stand_in_the_file(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    values = json.loads((tmp_path / "welltuned.json").read_text(encoding="utf-8"))
    assert values["schema_version"] == 2
    assert values["strategy"] == MANIFEST.strategy.model_dump(mode="json")


def test_a_base_model_in_a_folder_is_found_when_both_have_moved(tmp_path: Path) -> None:
    (tmp_path / "here" / "base").mkdir(parents=True)
    (tmp_path / "here" / "model").mkdir()
    base = ModelConfig(name=str(tmp_path / "here" / "base"))
    manifest = ArtifactManifest(
        MANIFEST.problem, MANIFEST.strategy, base, MANIFEST.origin, 48, "fp32"
    )
    manifest.write(tmp_path / "here" / "model")
    (tmp_path / "here").rename(tmp_path / "there")
    again = ArtifactManifest.read(tmp_path / "there" / "model")
    location = Path(again.base_location(tmp_path / "there" / "model"))
    assert location.samefile(tmp_path / "there" / "base")


# --- Versions ---------------------------------------------------------------------


def test_a_newer_version_is_refused_in_words(tmp_path: Path) -> None:
    fault = refusal(changed(tmp_path, schema_version=3))
    assert fault.code == "schema.newer_version"
    assert fault.place == Place(str(tmp_path / "welltuned.json"))
    assert (fault.values["written"], fault.values["version"]) == (3, 2)


@pytest.mark.parametrize("version", [0, -1, "2", None, True, 1.5])
def test_what_is_no_version_is_refused(version: Any, tmp_path: Path) -> None:
    assert refusal(changed(tmp_path, schema_version=version)).code == "schema.bad_version"


def test_version_1_finds_its_options_in_the_run_around_it() -> None:
    strategy = ArtifactManifest.read(VERSION_1 / "lora" / "model").strategy
    assert isinstance(strategy, Lora)
    assert (strategy.r, strategy.lora_alpha, strategy.target_modules) == (2, 12, "all-linear")


def test_version_1_alone_has_the_default_options(tmp_path: Path) -> None:
    """And a config beside it that is about something else is not its own."""
    model = Path(shutil.copytree(VERSION_1 / "lora" / "model", tmp_path / "model"))
    assert ArtifactManifest.read(model).strategy == Lora()
    for values in ({"strategy": {"type": "full"}}, {"strategy": "lora"}, ["x"], {}):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
        assert ArtifactManifest.read(model).strategy == Lora()


def test_the_present_version_ignores_the_run_around_it(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    MANIFEST.write(tmp_path / "model")
    (tmp_path / "config.yaml").write_text("strategy: {type: lora, r: 64}")
    assert ArtifactManifest.read(tmp_path / "model").strategy == MANIFEST.strategy


# --- What cannot be understood ----------------------------------------------------


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"task": {"type": "poetry"}}, "there is no task 'poetry'"),
        ({"task": {}}, "the key 'type' is missing"),
        ({"strategy": {"type": "lora", "r": -1}}, "lora.r = -1"),
        ({"strategy": {"type": "magic"}}, "magic"),
        ({"max_length": "long"}, "long"),
        ({"base": None}, "None"),
        ({"precision": "fp8"}, "fp8"),
    ],
)
def test_a_damaged_file_is_refused(values: dict[str, Any], reason: str, tmp_path: Path) -> None:
    fault = refusal(changed(tmp_path, **values))
    assert fault.code == "artifact.manifest_unreadable" and reason in fault.values["reason"]
    assert fault.place == Place(str(tmp_path / "welltuned.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "3"])
def test_what_is_no_manifest_at_all_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "welltuned.json").write_text(text)
    assert refusal(tmp_path).code == "artifact.manifest_unreadable"


# --- Finding one ------------------------------------------------------------------


def test_an_artifact_is_found_in_its_run_and_by_itself() -> None:
    run = VERSION_1 / "lora"
    for given in (run, str(run), Run(run), run / "model"):
        assert find_artifact(given) == run / "model"
    assert is_artifact(run / "model") and not is_artifact(run)
    assert is_adapter(run / "model") and not is_adapter(VERSION_1 / "full" / "model")


def test_where_there_is_none_is_said(tmp_path: Path) -> None:
    with refused("run.folder_missing"):
        find_artifact(tmp_path / "none")
    with refused("artifact.neither_run_nor_model"):
        find_artifact(tmp_path)
    assert refusal(tmp_path).code == "artifact.manifest_missing"


# --- What the model reads, and the files it was saved as ------------------------------


def test_the_inputs_and_the_files_are_remembered(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / "README.md").touch()
    columns = {"text": "review", "label": "label"}
    replace(MANIFEST, inputs=("text", "text_pair"), columns=columns).write(tmp_path)
    again = ArtifactManifest.read(tmp_path)
    assert again.columns == {"text": "review"}
    assert (again.inputs, again.files) == (("text", "text_pair"), ("model.safetensors",))


def test_older_manifests_do_not_know_them(tmp_path: Path) -> None:
    MANIFEST.write(tmp_path)
    file = tmp_path / "welltuned.json"
    values = json.loads(file.read_text(encoding="utf-8"))
    del values["inputs"], values["columns"], values["files"]
    file.write_text(json.dumps(values))
    again = ArtifactManifest.read(tmp_path)
    assert (again.inputs, again.files) == (None, ())


def test_a_missing_file_is_named(finished: Run, tmp_path: Path) -> None:
    model = Path(shutil.copytree(finished.model, tmp_path / "model"))
    (model / "modeling_pooled.py").unlink()
    with refused("artifact.file_missing", place=f"{model}/modeling_pooled.py"):
        load_artifact(model)
