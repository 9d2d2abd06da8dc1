"""A model that is changed under a running server is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from faults import refused
from welltuned.deployment.server import model_files
from welltuned.deployment.server.model_files import ModelFiles, model_folder, served_name
from welltuned.runs import Run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(model_files, "_FRESH", -1.0)
    (tmp_path / "part").mkdir()
    for name in ("model.safetensors", "README.md", "part/config.json"):
        (tmp_path / name).write_text("as it was", encoding="utf-8")
    return tmp_path


def test_nothing_has_changed_at_first(folder: Path) -> None:
    assert ModelFiles(folder).changed() == ()


def test_what_is_changed_added_or_removed_is_named(folder: Path) -> None:
    files = ModelFiles(folder)
    (folder / "model.safetensors").write_text("otherwise", encoding="utf-8")
    (folder / "README.md").write_text("people may edit this", encoding="utf-8")
    (folder / "new.json").touch()
    (folder / "part/config.json").unlink()
    assert files.changed() == ("model.safetensors", "new.json", "part/config.json")


def test_another_file_of_the_same_size_and_time_is_another(folder: Path) -> None:
    files, weights = ModelFiles(folder), folder / "model.safetensors"
    shutil.copy2(weights, folder / "copy")
    (folder / "copy").replace(weights)
    assert files.changed() == ("model.safetensors",)


def test_a_folder_that_has_gone_has_changed(folder: Path) -> None:
    files = ModelFiles(folder)
    shutil.rmtree(folder)
    assert files.changed() == ("model.safetensors", "part/config.json")


def test_runs_models_and_exports_are_found(finished: Run, tmp_path: Path) -> None:
    assert model_folder(str(finished.folder)) == model_folder(str(finished.model)) == finished.model
    (tmp_path / "export.json").touch()
    assert model_folder(str(tmp_path)) == tmp_path
    with refused("run.folder_missing"):
        model_folder(str(tmp_path / "nothing"))


def test_a_model_is_called_as_its_run(finished: Run) -> None:
    assert served_name(str(finished.folder)) == served_name(str(finished.model)) == "run"
