"""What was measured of this machine is measured once."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from welltuned.runs.user_cache import cache_folder, recalled, remembered


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def never() -> float:
    raise AssertionError("it was measured already")


def test_a_measurement_is_taken_once() -> None:
    assert remembered("gain", lambda: 1.25) == 1.25
    assert remembered("gain", never) == 1.25


def test_what_was_measured_can_be_recalled() -> None:
    assert recalled("gain") is None
    remembered("gain", lambda: 1.25)
    assert recalled("gain") == 1.25 and recalled("another") is None


def test_each_thing_has_a_value_of_its_own() -> None:
    values = {"a": 1.0, "b": 2.0}
    assert [remembered(name, partial(values.__getitem__, name)) for name in values] == [
        1,
        2,
    ]
    assert remembered("a", never) == 1.0 and remembered("b", never) == 2.0


def test_a_broken_cache_costs_a_measurement_and_is_mended(cache: Path) -> None:
    cache.mkdir()
    (cache / "machine.json").write_text("{", encoding="utf-8")
    assert remembered("gain", lambda: 3.0) == 3.0 and remembered("gain", never) == 3.0


def test_a_cache_that_cannot_be_written_is_no_fault(cache: Path) -> None:
    cache.write_text("a file where the folder would be", encoding="utf-8")
    assert remembered("gain", lambda: 3.0) == 3.0


def test_the_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WELLTUNED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/welltuned")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "welltuned"
