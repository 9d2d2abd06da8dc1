"""What was measured of this machine is measured once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from welltuned.runs.user_cache import Measurement, cache_folder, recalled, remembered


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WELLTUNED_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(cache: Path, values: dict[str, object]) -> None:
    cache.mkdir()
    (cache / "machine.json").write_text(json.dumps(values), encoding="utf-8")


def never() -> float:
    raise AssertionError("it was measured already")


def value(name: str, measure: Callable[[], float | None]) -> float | None:
    found = remembered(name, measure)
    return None if found is None else found.value


def test_a_measurement_is_taken_once_and_has_its_day() -> None:
    first = remembered("gain", lambda: 1.25)
    assert first is not None and first.value == 1.25 and first.day == date.today().isoformat()
    assert remembered("gain", never) == first == recalled("gain")
    assert recalled("another") is None


def test_each_thing_has_a_value_of_its_own() -> None:
    values = {"a": 1.0, "b": 2.0}
    assert [value(name, partial(values.__getitem__, name)) for name in values] == [1, 2]
    assert value("a", never) == 1.0 and value("b", never) == 2.0


@pytest.mark.parametrize(("days", "fresh"), [(0, True), (30, True), (31, False), (-1, False)])
def test_what_is_old_is_measured_anew(cache: Path, days: int, fresh: bool) -> None:
    """And what is from tomorrow, for then a clock was wrong."""
    day = (date.today() - timedelta(days=days)).isoformat()
    write(cache, {"gain": {"value": 32.0, "day": day}})
    assert value("gain", never if fresh else lambda: 1.25) == (32.0 if fresh else 1.25)
    assert (recalled("gain") or Measurement(0, day)).day == (day if fresh else str(date.today()))


def test_what_an_earlier_release_remembered_without_a_day_is_measured_anew(cache: Path) -> None:
    write(cache, {"gain": 32.0})
    assert recalled("gain") is None and value("gain", lambda: 1.25) == 1.25


def test_what_cannot_be_relied_on_is_not_kept() -> None:
    assert remembered("gain", lambda: None) is None
    assert value("gain", lambda: 1.25) == 1.25


def test_a_broken_cache_costs_a_measurement_and_is_mended(cache: Path) -> None:
    cache.mkdir()
    (cache / "machine.json").write_text("{", encoding="utf-8")
    assert value("gain", lambda: 3.0) == 3.0 and value("gain", never) == 3.0


def test_a_cache_that_cannot_be_written_is_no_fault(cache: Path) -> None:
    cache.write_text("a file where the folder would be", encoding="utf-8")
    assert value("gain", lambda: 3.0) == 3.0


def test_the_place_is_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WELLTUNED_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/welltuned")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "welltuned"
