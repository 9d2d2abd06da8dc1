"""The drawings of docs/architecture.md name files and things that exist, in one direction."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
DRAWN = re.compile(r"^([\w/]+(?:\.py|/)) {2,}(\w+)", re.MULTILINE)
WALKS = {
    title: DRAWN.findall(drawing)
    for title, drawing in re.findall(r"^### (.+?)\n\n```\n(.*?)```", TEXT, re.DOTALL | re.MULTILINE)
}
STEPS = [step for walk in WALKS.values() for step in walk]
FLOW = [step for step in DRAWN.findall(TEXT) if step[1][0].isupper()]


@pytest.mark.parametrize(("place", "name"), sorted({*STEPS, *FLOW}))
def test_what_is_drawn_is_there(place: str, name: str) -> None:
    path = ROOT / "welltuned" / place
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    assert files, place
    defined = re.compile(rf"^\s*(?:def|class) {name}\b|^{name}\b.* = ", re.MULTILINE)
    assert any(defined.search(file.read_text("utf-8")) for file in files), f"{place}: {name}"


def test_there_are_five_walks_and_none_comes_back_to_a_file() -> None:
    assert len(WALKS) == 5
    for title, walk in WALKS.items():
        places = [place for place, _ in walk]
        assert len(places) >= 8 and len(set(places)) == len(places), title


def test_the_layers_are_those_of_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert f"`{' → '.join(contract)}`".replace("welltuned.", "") in TEXT


def test_files_that_the_text_names_are_there() -> None:
    folders = "|".join(one.name for one in (ROOT / "welltuned").iterdir() if one.is_dir())
    named = set(re.findall(rf"`((?:(?:{folders})/[\w/]+|benchmarks/\w+)\.(?:py|yaml))`", TEXT))
    places = (ROOT / "welltuned", ROOT)
    gone = [one for one in named if not any((place / one).exists() for place in places)]
    assert len(named) > 5 and not gone
