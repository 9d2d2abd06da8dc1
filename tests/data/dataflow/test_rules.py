"""Rules: what a table names, so that all of it can be checked."""

from __future__ import annotations

from welltuned.data.dataflow.rules import (
    Binding,
    Branch,
    CountedLoop,
    Iteration,
    LanguageTable,
)


def test_a_table_tells_every_kind_and_field_that_it_rests_on() -> None:
    table = LanguageTable(
        title="T",
        package="p",
        rules=(
            Binding(kinds=("a",), target="l", value=-1),
            Branch(kinds=("b",), arms=("arm",)),
            CountedLoop(kinds=("c",), starts=("start",), sides=("update",)),
            Iteration(binding=Binding(kinds=("d",)), afterwards="end"),
        ),
        strings=("s",),
        docstrings=("e",),
        walked_first=("w",),
    )
    assert set(table.known_kinds) == {
        *("a", "b", "arm", "c", "start", "d", "s", "e", "w", "identifier", "comment")
    }
    assert set(table.known_fields) == {"l", "update", "left", "right", "body", "end"}
    assert table.rule_of["d"] is table.rules[3]
