"""What the libraries have in common: names of data, columns, and turns."""

from __future__ import annotations

from pathlib import Path

import pytest

from welltuned.drafts.migration.library import as_data, check_turns, mapped_column, only_first
from welltuned.errors import Faults, Place

PLACE = Place("theirs.yaml", 4, 1)


@pytest.mark.parametrize(
    ("name", "ours"),
    [("org/set", "hub:org/set"), ("set", "hub:set"), ("./set", "./set"), ("a.jsonl", "a.jsonl"),
     ("here", "here")],
)  # fmt: skip
def test_data_are_files_or_on_the_hub(
    name: str, ours: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    assert as_data(name) == ours


@pytest.mark.parametrize(
    ("column", "role", "outcome"),
    [("ask", "prompt", "carried"), ("prompt", "prompt", "nothing"), ("tools", None, "left")],
)
def test_a_column_is_mapped_where_its_name_does_not_say_its_role(
    column: str, role: str | None, outcome: str
) -> None:
    found = mapped_column("columns.x", column, PLACE, role, "generation")
    assert found is not None and found.outcome == outcome
    assert found.to == ("data.columns.prompt" if outcome == "carried" else None)


def test_a_column_that_is_none_is_nothing() -> None:
    assert mapped_column("columns.x", None, PLACE, "prompt", "generation") is None


@pytest.mark.parametrize(
    ("speaker", "said", "number"),
    [("role", "content", 0), ("from", "value", 0), (None, None, 0), ("who", "what", 2)],
)
def test_turns_are_read_by_the_names_that_are_known(
    speaker: str | None, said: str | None, number: int
) -> None:
    faults = Faults()
    check_turns(speaker, said, PLACE, faults)
    assert [fault.code for fault in faults] == ["migrate.turns_named_otherwise"] * number


def test_a_run_learns_from_one_data_set() -> None:
    faults = Faults()
    only_first(["a"], "dataset", PLACE, faults)
    assert len(faults) == 0
    only_first(["a", "b"], "dataset", PLACE, faults)
    [fault] = faults
    assert fault.values["number"] == 2 and fault.place == PLACE
