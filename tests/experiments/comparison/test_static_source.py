"""Which static embedding stands beside TF-IDF, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from faults import refused
from welltuned.experiments.comparison import static_source
from welltuned.experiments.comparison.static_source import find_static
from welltuned.models.available import Available

ENGLISH = ["the room is clean and it was quiet"]


def never() -> list[str]:
    pytest.fail("nobody needs to look at the texts")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_source, "find_spec", lambda name: name)


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_source, "find_spec", lambda name: None)


def test_none_where_none_is_wanted(installed: None) -> None:
    assert find_static("off", never) is None


def test_without_the_library_one_is_had_only_where_it_is_named(missing: None) -> None:
    assert find_static("auto", never) is None
    with refused("compare.static_library_missing", name="org/vectors", library="model2vec"):
        find_static("org/vectors", never)


def test_a_folder_is_taken_as_it_is_named(installed: None, tmp_path: Path) -> None:
    found = find_static(str(tmp_path), never)
    assert found == {"name": str(tmp_path), "path": str(tmp_path)}


def test_a_name_leads_to_the_cache_or_nowhere(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {"org/vectors": tmp_path}
    monkeypatch.setattr(static_source, "cached_folder", there.get)
    assert find_static("org/vectors", never) == {"name": "org/vectors", "path": str(tmp_path)}
    with refused("compare.static_missing", name="org/others"):
        find_static("org/others", never)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (ENGLISH, "minishlab/potion-base-8M"),
        (["房间很干净"], "minishlab/potion-multilingual-128M"),
    ],
)
def test_one_is_proposed_by_language(
    texts: list[str], expected: str, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str, packages: Any) -> Available | None:
        there = ("minishlab/potion-base-8M", "minishlab/potion-multilingual-128M")
        return Available(name, "a folder", Path("vectors")) if name in there else None

    monkeypatch.setattr(static_source, "find_available", find)
    assert find_static("auto", lambda: texts) == {"name": expected, "path": "vectors"}


def test_where_none_is_here_there_is_none(installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_source, "find_available", lambda name, packages: None)
    assert find_static("auto", lambda: ENGLISH) is None
