"""What answers are made from: the input, the model and the options, by hashes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from faults import codes, refused
from support import write_rows
from welltuned.data.config import DataConfig
from welltuned.deployment.answer_file.made_from import MadeFrom
from welltuned.errors import InputError
from welltuned.runs.folder import MANIFEST


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What looks like a tuned model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / MANIFEST).write_text("{}")
    (folder / "SHA256SUMS").write_text("abc  model.safetensors\n")
    return folder


@pytest.fixture
def data(tmp_path: Path) -> str:
    return write_rows(tmp_path / "a.jsonl", [{"text": "good"}])


def differing(one: MadeFrom, other: MadeFrom) -> list[str]:
    """The keys that `require_same` names."""
    written = json.loads(json.dumps({"hashes": one.hashes}))
    try:
        other.require_same(written, Path("out.csv"))
    except InputError as error:
        assert set(codes(error.faults)) == {"predict.out_of_another"}
        return [str(fault.values["key"]) for fault in error.faults]
    return []


def test_the_same_is_the_same_wherever_it_lies(model: Path, data: str, tmp_path: Path) -> None:
    one = MadeFrom.of(str(model), DataConfig(train=data))
    shutil.copytree(model, tmp_path / "copy")
    shutil.copy(data, tmp_path / "b.jsonl")
    moved = MadeFrom.of(str(tmp_path / "copy"), DataConfig(train=str(tmp_path / "b.jsonl")))
    assert differing(one, moved) == []


def test_what_differs_is_named(model: Path, data: str) -> None:
    one = MadeFrom.of(str(model), DataConfig(train=data))
    write_rows(Path(data), [{"text": "bad"}])
    config = DataConfig(train=data, columns={"text": "review"})
    assert differing(one, MadeFrom.of(str(model), config)) == ["input", "options.columns"]
    (model / "SHA256SUMS").write_text("abd  model.safetensors\n")
    assert "model" in differing(one, MadeFrom.of(str(model), config))


@pytest.mark.parametrize("name", [MANIFEST, "export.json"])
def test_the_decision_rule_and_an_export_are_part_of_the_model(
    name: str, model: Path, data: str
) -> None:
    one = MadeFrom.of(str(model), DataConfig(train=data))
    (model / name).write_text('{"threshold": 0.5}')
    assert differing(one, MadeFrom.of(str(model), DataConfig(train=data))) == ["model"]


def test_an_old_model_without_hashes_is_known_by_its_files(model: Path, data: str) -> None:
    (model / "SHA256SUMS").unlink()
    (model / "model.safetensors").write_bytes(b"1")
    one = MadeFrom.of(str(model), DataConfig(train=data))
    (model / "model.safetensors").write_bytes(b"2")
    assert differing(one, MadeFrom.of(str(model), DataConfig(train=data))) == ["model"]


def test_an_exported_folder_is_a_model(tmp_path: Path, data: str) -> None:
    (tmp_path / "export.json").write_text("{}")
    assert MadeFrom.of(str(tmp_path), DataConfig(train=data)).hashes["model"]


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path, data: str) -> None:
    with refused("artifact.neither_run_nor_model"):
        MadeFrom.of(str(tmp_path), DataConfig(train=data))


def test_a_data_set_of_several_files_and_one_that_is_no_file(
    model: Path, data: str, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_rows(folder / "train.jsonl", [{"text": "a"}])
    one = MadeFrom.of(str(model), DataConfig(train=str(folder)))
    write_rows(folder / "test.jsonl", [{"text": "b"}])
    assert differing(one, MadeFrom.of(str(model), DataConfig(train=str(folder)))) == ["input"]
    assert (
        MadeFrom.of(str(model), DataConfig(train="demo:reviews")).hashes["input"] == "demo:reviews"
    )


def test_it_is_written_down_beside_the_answers(model: Path, data: str, tmp_path: Path) -> None:
    origin, beside = MadeFrom.of(str(model), DataConfig(train=data)), tmp_path / "o.json"
    origin.write(beside, finished=True)
    told: Any = json.loads(beside.read_text())
    assert (told["schema_version"], told["finished"], told["input"]) == (1, True, data)
    origin.require_same(told, Path("out.csv"))
