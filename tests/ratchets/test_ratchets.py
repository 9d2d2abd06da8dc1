"""The figures of the code are no worse than recorded, and the measuring sees what it measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from measure import NUMBERS, Figure, figures, judge, main

MODULE = """
from typing import Any

class Box:
    def __init__(self, size: int) -> None: ...
    def read(self, key: str) -> dict[str, Any]: ...
    def _private(self, key: Any) -> Any: ...

def plain(x: int) -> int:
    a = x

    return a

def _hidden(x: Any) -> Any: ...
"""


@pytest.fixture
def measured(tmp_path: Path) -> dict[str, Figure]:
    """Figures of a package of three modules, one of which has its tests."""
    package, tests = tmp_path / "package", tmp_path / "tests"
    for folder in (package / "part", tests / "part"):
        folder.mkdir(parents=True)
    (package / "__init__.py").write_text('"""No function."""\n', encoding="utf-8")
    (package / "part" / "box.py").write_text(MODULE, encoding="utf-8")
    (package / "part" / "range_test.py").write_text("def f() -> None: ...\n", encoding="utf-8")
    (tests / "part" / "test_box.py").touch()
    layers = '[[tool.importlinter.contracts]]\nlayers = ["a", "b"]\n'
    (tmp_path / "pyproject.toml").write_text(layers, encoding="utf-8")
    return {figure.name: figure for figure in figures(package, tests)}


def test_today_nothing_is_worse_than_recorded() -> None:
    faults, _ = judge(figures(), json.loads(NUMBERS.read_text(encoding="utf-8")))
    assert not faults


def test_each_figure_is_what_it_says(measured: dict[str, Figure]) -> None:
    values = {name: figure.value for name, figure in measured.items()}
    assert values == {
        "longest function, lines": 4,
        "nine functions in ten are no longer than, lines": 1,
        "longest file, lines": 14,
        "entries at the top of the package": 2,
        "layers of imports": 2,
        "public signatures that say Any, %": 25.0,
        "modules named like tests": 1,
        "modules without a mirrored file of tests": 1,
    }


def test_the_places_are_named(measured: dict[str, Figure]) -> None:
    (vague,) = measured["public signatures that say Any, %"].places
    assert vague == "part/box.py:Box.read: dict[str, Any]"
    assert measured["modules without a mirrored file of tests"].places == ("part/range_test.py",)
    assert "part/box.py:plain" in measured["longest function, lines"].places[0]


def test_worse_is_refused_and_better_is_kept() -> None:
    now = [Figure("a", 3), Figure("b", 2), Figure("new", 1)]
    faults, best = judge(now, {"a": 2, "b": 5})
    assert len(faults) == 2 and "a: 3" in faults[0] and "new" in faults[1]
    assert best == {"a": 2, "b": 2, "new": 1}


def test_the_command_fails_where_something_is_worse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = tmp_path / "numbers.json"
    recorded = json.loads(NUMBERS.read_text(encoding="utf-8"))
    numbers.write_text(json.dumps({**recorded, "longest file, lines": 1}), encoding="utf-8")
    monkeypatch.setattr("measure.NUMBERS", numbers)
    monkeypatch.setattr("sys.argv", ["measure.py"])
    assert main() == 1
    assert "longest file" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["measure.py", "--tighten"])
    assert main() == 0, "writing down what is better never fails"
    assert json.loads(numbers.read_text(encoding="utf-8"))["longest file, lines"] == 1
