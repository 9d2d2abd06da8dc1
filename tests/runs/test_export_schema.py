"""`export.json`: its version, and the exports that lie beside one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from exporting import told, written
from faults import refused
from welltuned.runs.export_schema import (
    EXPORT_FILE,
    ExportFile,
    exports_beside,
    is_export,
    read_export,
)


def names(folder: Path) -> list[str]:
    return [f"{one['format']}-{one['precision']}" for one in exports_beside(folder)]


def test_an_export_is_known_by_its_file(tmp_path: Path) -> None:
    assert not is_export(tmp_path) and not is_export(tmp_path / "none")
    assert is_export(written(tmp_path / "onnx"))


def test_what_is_written_is_read_and_typed(tmp_path: Path) -> None:
    found = read_export(written(tmp_path / "onnx", schema_version=1))
    assert found == {**told(), "schema_version": 1}
    TypeAdapter(ExportFile).validate_python(dict(found))


@pytest.mark.parametrize(
    ("version", "code"), [(2, "schema.newer_version"), ("one", "schema.bad_version")]
)
def test_a_version_that_is_not_ours_is_refused(version: object, code: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "onnx", schema_version=version)
    with refused(code, place=str(folder / EXPORT_FILE)):
        read_export(folder)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "onnx")
    (folder / EXPORT_FILE).write_text('{"format": "on', encoding="utf-8")
    with refused("run.file_damaged"):
        read_export(folder)


def test_exports_of_the_same_run_lie_beside_one_by_name(tmp_path: Path) -> None:
    written(tmp_path / "openvino-int8", format="openvino")
    written(tmp_path / "other", run="/runs/another")
    own = written(tmp_path / "onnx-fp16", precision="fp16")
    assert names(own) == ["onnx-fp16", "openvino-int8"]


def test_one_without_a_run_stands_alone(tmp_path: Path) -> None:
    written(tmp_path / "a", run=None)
    assert names(written(tmp_path / "b", run=None, format="plain")) == ["plain-int8"]


def test_what_lies_beside_it_and_is_no_export_of_ours_is_passed_over(tmp_path: Path) -> None:
    own = written(tmp_path / "onnx")
    written(tmp_path / "newer", schema_version=99)
    for name, content in (("cut", '{"format": '), ("list", "[1]"), ("foreign", '{"a": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / EXPORT_FILE).write_text(content, encoding="utf-8")
    (tmp_path / "folder" / EXPORT_FILE).mkdir(parents=True)
    assert names(own) == ["onnx-int8"]


def test_the_folder_where_one_stands_is_a_folder_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "openvino", format="openvino")
    monkeypatch.chdir(written(tmp_path / "onnx"))
    assert names(Path()) == ["onnx-int8", "openvino-int8"]
