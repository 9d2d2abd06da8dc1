"""What a config names by import path: found, or refused with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from faults import refused
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
    ("path", "code"),
    [
        ("bleu", "import.failed"),
        ("", "import.failed"),
        ("no_such_package.f", "import.failed"),
        ("my_own.missing", "import.failed"),
        ("my_own.NUMBER", "import.not_callable"),
    ],
)
def test_what_is_no_function_is_refused_by_name(path: str, code: str, mine: Path) -> None:
    with refused(code, path=path, what="metric"):
        load_callable(path, "metric")


def test_why_an_import_failed_is_told(mine: Path) -> None:
    with refused("import.failed") as caught:
        load_callable("no_such_package.f", "metric")
    reason = caught.value.faults[0].values["error"]
    assert reason == "ModuleNotFoundError: No module named 'no_such_package'"


@pytest.mark.parametrize("source", ["1 / 0", "def broken(:", "raise SystemExit(3)"])
def test_a_module_that_fails_on_import_is_refused(source: str, mine: Path) -> None:
    mine.write_text(source, encoding="utf-8")
    with refused("import.failed"):
        load_callable("my_own.double", "metric")
