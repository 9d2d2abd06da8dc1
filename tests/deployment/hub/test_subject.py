"""What is published is found with all that its run knows of it, and as it was saved."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exporting import written
from faults import refused
from support import hashed_anew
from welltuned.deployment.hub.subject import Subject
from welltuned.runs import Run
from welltuned.runs.export_schema import EXPORT_FILE
from welltuned.runs.folder import MANIFEST, write_json


def based_on(name: str) -> Subject:
    return Subject(Path("a-folder"), {"base": {"name": name}}, None, None)


def test_a_run_and_its_model_are_one_subject(
    finished: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = Subject.of(finished.folder)
    assert subject == Subject.of(finished.model)
    assert subject.run == Run(finished.folder.resolve()) and subject.export is None
    assert subject.results == finished.results
    assert subject.data == finished.read("data.json")
    assert subject.environment == finished.read("environment.json")
    assert (subject.strategy, subject.problem.type) == ("partial", "classification")
    monkeypatch.chdir(finished.model)
    assert Subject.of(".") == subject, "its run lies around it, whatever it is called by"


def test_a_model_that_stands_alone_has_no_run(finished: Run, tmp_path: Path) -> None:
    subject = Subject.of(shutil.copytree(finished.model, tmp_path / "alone"))
    assert subject.run is None
    assert (subject.results, subject.data, subject.environment) == (None, None, None)


def test_an_adapter_needs_its_base(finished: Run, adapted: Run) -> None:
    assert Subject.of(adapted.folder).is_adapter
    assert not Subject.of(finished.folder).is_adapter
    assert Subject.of(adapted.folder).base == adapted.config["model"]["name"]


def test_damaged_files_are_refused(finished: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished.folder, tmp_path / "run"))
    config = folder / "model/config.json"
    config.write_text(config.read_text() + " ")
    with refused("artifact.file_changed"):
        Subject.of(folder)


def test_what_a_newer_version_has_saved_is_refused(finished: Run, tmp_path: Path) -> None:
    model = Path(shutil.copytree(finished.model, tmp_path / "model"))
    values = json.loads((model / MANIFEST).read_text())
    write_json(model / MANIFEST, {**values, "schema_version": 99})
    with refused("schema.newer_version", place=str(model / MANIFEST)):
        Subject.of(hashed_anew(model))
    export = written(tmp_path / "export", schema_version=99)
    with refused("schema.newer_version", place=str(export / EXPORT_FILE)):
        Subject.of(export)


def test_an_export_has_the_manifest_of_its_model_and_its_run(finished: Run, tmp_path: Path) -> None:
    manifest = json.loads((finished.model / MANIFEST).read_text())
    export = written(tmp_path / "export", run=str(finished.folder), model=manifest)
    subject = Subject.of(export)
    assert subject.folder == export and subject.manifest == manifest
    assert subject.export is not None and subject.export["format"] == "onnx"
    assert subject.run == finished and subject.results == finished.results
    (export / "adapter_config.json").write_text("{}")
    assert not subject.is_adapter, "whatever lies there, it is whole"
    assert Subject.of(written(tmp_path / "moved", run=str(tmp_path / "gone"))).run is None


def test_the_run_is_asked_before_the_stage_that_holds_the_model(tmp_path: Path) -> None:
    run, stage = Run(tmp_path), Run(tmp_path / "final")
    stage.folder.mkdir()
    stage.write("data.json", {"of": "final"})
    subject = Subject(stage.model, {}, run, None)
    assert subject.data == {"of": "final"} and subject.environment is None
    run.write("data.json", {"of": "whole"})
    assert subject.data == {"of": "whole"}


def test_a_base_is_on_the_hub_where_it_can_be_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my/bert").mkdir(parents=True)
    assert based_on("google/bert").base_on_hub == "google/bert"
    for name in ("package:tiny_bert", "/models/bert", "./bert", "my/bert"):
        assert based_on(name).base_on_hub is None, name


def test_a_task_that_nobody_knows_is_told(tmp_path: Path) -> None:
    with refused("hub.task_unknown", place=str(tmp_path)):
        _ = Subject(tmp_path, {"task": {"type": "no_such_task"}}, None, None).problem
