"""Models in folders, in packages and in the Hub's cache."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from welltuned.models.available import FOLDERS, cached_folder, find_available

FILES = ("config.json", "model.safetensors", "tokenizer.json")
NAME = "org/some-model"


def model_in(folder: Path, files: tuple[str, ...] = FILES) -> Path:
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_text("{}")
    return folder


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, a folder of models and a cache of the Hub in which nothing is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDERS, str(tmp_path / "mine"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def cached(root: Path, files: tuple[str, ...] = FILES) -> Path:
    repository = root / "hub" / "models--org--some-model"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    return model_in(repository / "snapshots" / "abc", files)


def packed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = root / "site" / "a_package_with_a_model"
    model_in(folder / "weights", (*FILES, "tokenizer_config.json"))
    (folder / "__init__.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.setattr(sys, "path", [str(root / "site"), *sys.path])
    return folder / "weights"


def test_what_is_nowhere_is_not_found(nothing: Path) -> None:
    assert find_available(NAME, ["no_such_package"]) is None


def test_each_place_is_looked_into_the_users_own_first(
    nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cached(nothing)
    found = find_available(NAME)
    assert found is not None
    assert (found.name, found.where, found.folder) == (NAME, "the Hub's cache", folder)
    folder = packed(nothing, monkeypatch)
    found = find_available(NAME, ["a_package_with_a_model"])
    assert found is not None and found.name == "package:a_package_with_a_model"
    assert found.folder == folder and found.where == "an installed package"
    folder = model_in(nothing / "mine" / "some-model")
    found = find_available(NAME, ["a_package_with_a_model"])
    assert found is not None and (found.name, found.where) == (str(folder), "a folder")
    model_in(nothing / "models" / "some-model")
    found = find_available(NAME)
    assert found is not None and found.name == "./models/some-model"


@pytest.mark.parametrize("missing", FILES)
def test_a_cache_that_lacks_a_file_does_not_count(nothing: Path, missing: str) -> None:
    cached(nothing, tuple(file for file in FILES if file != missing))
    assert cached_folder(NAME) is None and find_available(NAME) is None


@pytest.mark.parametrize("name", ["./some-model", "/some/model", "~/x", "package:x", "a b", ""])
def test_what_no_model_of_the_hub_is_called_is_not_in_its_cache(nothing: Path, name: str) -> None:
    assert cached_folder(name) is None
