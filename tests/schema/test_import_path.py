"""What a config names by import path: found, or refused with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from welltuned.errors import InputError
from welltuned.schema.import_path import load_callable


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module `my_own` that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_own", raising=False)
    file = tmp_path / "my_own.py"
    file.write_text("NUMBER = 3\ndef double(x):\n    return 2 * x\n", encoding="utf-8")
    return file


def test_a_function_is_found_by_its_path(mine: Path) -> None:
    assert load_callable("my_own.double", "metric")(4) == 8


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("bleu", "cannot be imported"),
        ("", "cannot be imported"),
        ("no_such_package.f", "No module named 'no_such_package'"),
        ("my_own.missing", "has no attribute 'missing'"),
        ("my_own.NUMBER", "is int, and cannot be called"),
    ],
)
def test_what_is_no_function_is_refused_by_name(path: str, what: str, mine: Path) -> None:
    with pytest.raises(InputError) as refused:
        load_callable(path, "metric")
    assert f"the metric '{path}'" in str(refused.value) and what in str(refused.value)
    assert "write package.module.name" in refused.value.faults[0].remedy


@pytest.mark.parametrize("source", ["1 / 0", "def broken(:", "raise SystemExit(3)"])
def test_a_module_that_fails_on_import_is_refused(source: str, mine: Path) -> None:
    mine.write_text(source, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be imported"):
        load_callable("my_own.double", "metric")
