"""Hooks that wait for a library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from welltuned.schema.imports import after_import

called: list[ModuleType] = []


def note(module: ModuleType) -> None:
    """The hook of these tests, which is named by its path."""
    called.append(module)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    finders = list(sys.meta_path)
    called.clear()
    yield
    sys.meta_path[:] = finders


def library(folder: Path, name: str, patch: pytest.MonkeyPatch) -> str:
    (folder / f"{name}.py").write_text("made = 'whole'\n")
    patch.syspath_prepend(folder)
    return name


def test_a_hook_is_called_once_after_the_first_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = library(tmp_path, "a_large_library", monkeypatch)
    other = library(tmp_path, "another_large_library", monkeypatch)
    after_import(dict.fromkeys((one, other), f"{__name__}:note"))
    assert find_spec(one) is not None and called == [], "to look is not to import"
    module = import_module(one)
    assert called == [module] and module.made == "whole"
    assert import_module(one) is module and len(called) == 1
    assert called == [module, import_module(other)]


def test_a_hook_is_called_at_once_for_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(library(tmp_path, "a_library_that_is_there", monkeypatch))
    after_import({"a_library_that_is_there": f"{__name__}:note"})
    assert called == [module]
