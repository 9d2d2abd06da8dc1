"""The index of transformers' models is read from a file where it is the same."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from welltuned.models.compat import MODEL_INDEX
from welltuned.models.compat.model_index import _index, _kept, _plain, keep_index

INDEX: dict[Any, Any] = {
    "bert": {
        frozenset(): {"configuration_bert": {"BertConfig"}},
        frozenset({"torch", "vision"}): {"modeling_bert": {"BertModel", "BertLayer"}},
    },
    "deprecated": {"old": {frozenset(): {"configuration_old": {"OldConfig"}}}},
}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models of a library of its own, and a cache beside it."""
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "library" / "models"
    (folder / "bert").mkdir(parents=True)
    (folder / "__init__.py").touch()
    return folder


def kept(models: Path) -> tuple[dict[Any, Any], list[str]]:
    """The index, and for what it had to be made."""
    made: list[str] = []

    def make(path: Any) -> dict[Any, Any]:
        made.append(str(path))
        return INDEX

    return _kept(models, make), made


def test_an_index_is_made_once_and_read_afterwards(models: Path) -> None:
    assert kept(models) == (INDEX, [str(models)])
    assert kept(models) == (INDEX, [])


@pytest.mark.parametrize("changed", ["folder", "release", "damaged", "of another form"])
def test_what_may_no_longer_hold_is_made_anew(
    changed: str, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(models)
    file = tmp_path / "cache" / "transformers-index.json"
    if changed == "folder":
        os.utime(models, ns=(1, 1))
    elif changed == "release":
        monkeypatch.setattr(
            "welltuned.models.compat.model_index.metadata", SimpleNamespace(version=lambda _: "9")
        )
    else:
        file.write_text("{" if changed == "damaged" else "[1]")
    assert kept(models) == (INDEX, [str(models)])
    assert kept(models) == (INDEX, [])


def test_without_a_cache_it_is_made_each_time(models: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()  # no folder can be made here
    assert kept(models) == kept(models) == (INDEX, [str(models)])


def test_one_folder_is_kept_and_others_are_made_by_the_library(models: Path) -> None:
    asked: list[str] = []

    def own(path: Any) -> dict[Any, Any]:
        asked.append(str(path))
        return INDEX

    library = ModuleType("import_utils")
    library.__file__ = str(models.parent / "utils" / "import_utils.py")
    library.create_import_structure_from_path = own  # type: ignore[attr-defined]
    keep_index(library)
    for path in (models, models / "__init__.py", str(models / "bert"), models):
        assert library.create_import_structure_from_path(path) == INDEX
    assert asked == [str(models), str(models / "bert")]


def test_nothing_of_the_real_index_is_lost() -> None:
    library = importlib.import_module(MODEL_INDEX)
    index = library.create_import_structure_from_path(
        str(Path(str(library.__file__)).parents[1] / "models")
    )
    assert _index(_plain(index)) == index and "modeling_bert" in str(index["bert"])
