"""Pairs by column name: two texts that are read together, and a second text that is not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from welltuned.data.facts import DataFacts
from welltuned.data.readings import question, read_as
from welltuned.data.records import Role
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import message

_SHORT = 15
"""Fewer characters than this, on average, are a word or a name rather than a text."""

PAIR = question(
    "one text or two",
    asks="Is a row one text, or a pair of texts such as a question and a sentence?",
    evidence="Columns of well-known names, such as question and sentence, are a pair. A second "
    "column whose name is as usual for texts as the first one's is asked about; any other that "
    "holds texts is told to be not read.",
    key="data.columns.text_pair",
)


def settle_pair(
    table: Table,
    roles: Sequence[Role],
    mapping: Mapping[str, str],
    asked: Mapping[str, str],
    facts: DataFacts,
    faults: Faults,
) -> None:
    """Tell which texts are read together, and ask about a second one that would not be read."""
    second = next((role for role in roles if role.pairs), None)
    first = next((role for role in roles if role.is_input), None)
    if second is None or first is None or second.name in asked:
        return
    if second.name in mapping:
        if _key(mapping[second.name]) not in second.candidates:
            _tell_of_pair(table, mapping[first.name], mapping[second.name], facts)
    elif first.name not in asked and first.name in mapping:
        _ask_about_others(table, first, mapping, facts, faults)


def _tell_of_pair(table: Table, one: str, other: str, facts: DataFacts) -> None:
    said = message(
        "data.read_as_pair",
        "{source}: '{one}' and '{other}' are read as a pair, for they are usual names of one; "
        "an empty data.columns.text_pair= reads '{one}' alone.",
        source=table.source,
        one=one,
        other=other,
    )
    facts.readings.append(read_as(PAIR, "pair", said))


def _ask_about_others(
    table: Table, first: Role, mapping: Mapping[str, str], facts: DataFacts, faults: Faults
) -> None:
    """A second column of texts is asked about where it is named like one, else told of."""
    read, others = mapping[first.name], _unread_texts(table, mapping)
    named = [column for column in others if _key(column) in first.candidates]
    if named:
        faults.add(
            "data.pair_unclear",
            "'{one}' and '{other}' both hold texts",
            Place(table.source, 1),
            "data.columns.text={one} reads that alone, with data.columns.text_pair={other} as well "
            "both are read as a pair",
            one=read,
            other=named[0],
        )
        return
    for other in (column for column in others if _average_length(table, column) >= _SHORT):
        said = message(
            "data.read_as_one_text",
            "{source}: '{one}' alone is read, though '{other}' holds texts, too; "
            "data.columns.text_pair={other} reads both as a pair.",
            source=table.source,
            one=read,
            other=other,
        )
        facts.readings.append(read_as(PAIR, "one text", said))


def _unread_texts(table: Table, mapping: Mapping[str, str]) -> list[str]:
    """Columns without a role that hold texts which hardly ever repeat."""
    unread = [column for column in table.columns if column not in mapping.values()]
    return [column for column in unread if _holds_texts(table.columns[column])]


def _holds_texts(cells: Sequence[object]) -> bool:
    number = parted = 0
    different: set[int] = set()
    for cell in cells:
        if isinstance(cell, str) and any(map(str.isalpha, cell)):
            number += 1
            parted += _has_words(cell)
            different.add(hash(cell))
    return len(different) > len(cells) / 2 and parted > number / 2


def _has_words(text: str) -> bool:
    """Whether it is more than one word; scripts without spaces count as many."""
    return len(text.split()) > 1 or any(ord(sign) > 0x2E80 for sign in text)


def _average_length(table: Table, column: str) -> float:
    return sum(len(str(cell)) for cell in table.columns[column]) / len(table)


def _key(column: str) -> str:
    return column.casefold().strip()
