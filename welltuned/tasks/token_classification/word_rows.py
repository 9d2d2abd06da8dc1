"""Tables of one word a row, as spreadsheets hold tagged sentences: rows grouped into sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, pairwise

from welltuned.data.readers.cells import is_blank
from welltuned.data.readers.conll import refuse_missing
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.records import Role, map_columns
from welltuned.data.table import Table
from welltuned.errors import Faults
from welltuned.schema.messages import message

SENTENCES = question(
    "sentences",
    asks="Where do sentences begin in a table of one word a row?",
    evidence="Where a column named for sentences, such as `Sentence #` or sentence_id, has a new "
    "value; blank cells go on with the one above. Else after blank rows. Asked for elsewhere.",
    key="data.columns.sentence",
)
SENTENCE = Role(
    "sentence",
    (
        *("sentence #", "sentence_id", "sentence id", "sentenceid", "sentence_idx", "sent_id"),
        *("sentence_number", "sentence number", "sentence_no", "sentence no", "sent", "sentence"),
    ),
    required=False,
)


def group_words(
    table: Table, roles: Sequence[Role], columns: dict[str, str], faults: Faults
) -> Table:
    """A table of one word a row as one of sentences; any other table as it is.

    Where no sentences can be told, the fault is recorded and the table is empty.
    """
    found = map_columns(table, roles, columns, Faults())
    of_words: dict[str, str] = {role: found[role] for role in ("words", "tags") if role in found}
    if "words" not in found or not _are_words(table, list(of_words.values()), columns):
        return table
    numbers, reading = _sentences(table, found.get("sentence"), "sentence" in columns)
    if reading is not None:
        _refuse_blank(table, of_words, faults)
        return _grouped(table, set(found.values()) - {*of_words.values()}, numbers, reading)
    if "tags" not in found:
        return table
    faults.add(
        "data.sentences_unclear",
        "one word a row, and nothing says where sentences begin",
        table.place(0),
        "name the column that says so in data.columns.sentence=NAME, or leave a blank row after "
        "each sentence",
    )
    return Table(table.source, {}, [])


def _are_words(table: Table, named: Sequence[str], columns: dict[str, str]) -> bool:
    """Whether no cell holds a list, nor, unless sentences are named, more than one word."""
    cells = [cell for column in named for cell in table.columns[column]]
    if len(table) < 2 or any(isinstance(cell, (list, tuple, dict)) for cell in cells):
        return False
    return "sentence" in columns or not any(len(str(cell).split()) > 1 for cell in cells)


def _sentences(
    table: Table, column: str | None, is_given: bool
) -> tuple[list[int], Reading | None]:
    """The number of each row's sentence, and how that was told; None where it cannot be."""
    if column is not None:
        numbers = list(_counted_up(table.columns[column]))
        if is_given or numbers[-1] + 1 < len(numbers):
            return numbers, _by_column(table, column, numbers[-1] + 1)
    numbers = list(_counted_gaps(table))
    if numbers[-1] == 0:
        return numbers, None
    return numbers, _by_blank_rows(table, numbers[-1] + 1)


def _counted_up(cells: Sequence[object]) -> Iterator[int]:
    """A new number at each new value; blank cells go on."""
    number, last = -1, None
    for cell in cells:
        if number < 0 or (not is_blank(cell) and cell != last):
            number += 1
        last = last if is_blank(cell) else cell
        yield number


def _counted_gaps(table: Table) -> Iterator[int]:
    """A new number after each blank row."""
    number = 0
    yield number
    for above, below in pairwise(table.lines):
        number += below > above + 1
        yield number


def _refuse_blank(table: Table, of_words: Mapping[str, str], faults: Faults) -> None:
    """Record every row without a word or a tag."""
    for role, column in of_words.items():
        for index, cell in enumerate(table.columns[column]):
            if is_blank(cell):
                refuse_missing(role.removesuffix("s"), table.place(index), faults)


def _grouped(
    table: Table, of_sentences: Collection[str], numbers: Sequence[int], reading: Reading
) -> Table:
    """The cells of each sentence as a list, but of columns `of_sentences` the first cell alone."""
    rows = [list(rows) for _, rows in groupby(range(len(table)), key=numbers.__getitem__)]
    columns: dict[str, list[object]] = {
        column: [
            cells[row[0]] if column in of_sentences else [_text(cells[at]) for at in row]
            for row in rows
        ]
        for column, cells in table.columns.items()
    }
    lines = [table.lines[row[0]] for row in rows]
    return Table(table.source, columns, lines, table.notes, (*table.readings, reading))


def _text(cell: object) -> str:
    return "" if cell is None else str(cell).strip()


def _by_column(table: Table, column: str, number: int) -> Reading:
    said = message(
        "data.sentences_by_column",
        "{source}: one word a row; {number:,} sentences, each where '{column}' has a new value "
        "(data.columns.sentence=NAME names another column).",
        source=table.source,
        column=column,
        number=number,
    )
    return read_as(SENTENCES, column, said)


def _by_blank_rows(table: Table, number: int) -> Reading:
    said = message(
        "data.sentences_by_blank_rows",
        "{source}: one word a row; {number:,} sentences, with blank rows between them "
        "(data.columns.sentence=NAME names a column that says where they begin).",
        source=table.source,
        number=number,
    )
    return read_as(SENTENCES, "blank rows", said)
