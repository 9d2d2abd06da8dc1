"""Files that a request names, and what becomes of them on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import refused
from welltuned.experiments.executors.delivery import archived, content_hash, named_paths, unarchive


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "inner" / "weights.bin").write_bytes(b"\0\1")
    return folder


def test_what_a_request_names_is_found_but_for_what_it_writes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.csv").write_text("text,label\n")
    (tmp_path / "lora").mkdir()
    monkeypatch.chdir(tmp_path)
    request = {
        "config": {
            "model": {"name": str(folder)},
            "data": {"train": "data.csv", "test": "missing.csv"},
            "strategy": "lora",
            "output_dir": str(tmp_path / "lora"),
        },
        "rewards": [{"model": str(folder)}],
        "steps": 3,
    }
    assert set(named_paths(request)) == {folder, tmp_path / "data.csv"}


@pytest.mark.parametrize("name", ["model", "model/inner/weights.bin"])
def test_a_copy_has_the_same_hash(folder: Path, name: str, tmp_path: Path) -> None:
    original, copy = tmp_path / name, tmp_path / "elsewhere" / "copy"
    unarchive(archived(original), copy)
    assert content_hash(copy) == content_hash(original) is not None
    next(file for file in [copy, *copy.rglob("weights.bin")] if file.is_file()).write_bytes(b"\0\2")
    assert content_hash(copy) != content_hash(original)
    assert content_hash(tmp_path / "nothing") is None


def test_where_nothing_can_be_written_it_says_so(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with refused("executor.undeliverable", path=str(tmp_path / "file" / "model")):
        unarchive(archived(folder), tmp_path / "file" / "model")
