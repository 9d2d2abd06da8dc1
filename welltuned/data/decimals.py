"""Decimals: numbers whose decimal mark is a point or a comma, and which of both a column uses."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from welltuned.data.cells import REPEATED, is_missing
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import message

Mark = Literal["point", "comma"]

DECIMAL = question(
    "decimal mark",
    asks="Is the comma in a number such as 3,5 or 1,250 a decimal mark, or does it part thousands?",
    evidence="A comma that cannot part thousands, as in 3,5, is a decimal mark for the whole "
    "column; one of several, or one before a point, parts thousands. Where each comma could be "
    "either, or the numbers could be lists of labels, it is asked.",
    key="data.decimal",
)
_GROUPS = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'’](?=\d{3}(?!\d))")
"""Spaces and apostrophes that part thousands, whatever the decimal mark."""
_POINT = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+)?(?:,\d*)?(?:[eE][-+]?\d+)?")


def parse_number(cell: object, mark: Mark = "point") -> float | None:
    """The number that a cell is or spells with that decimal mark; None where it is none.

    >>> parse_number("1,250"), parse_number("3,5"), parse_number("3,5", "comma")
    (1250.0, None, 3.5)
    """
    if isinstance(cell, str):
        return _spelt(cell, mark)
    try:
        return float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None


@lru_cache(REPEATED)
def _spelt(cell: str, mark: Mark) -> float | None:
    text = _plain(cell)
    if mark == "comma" and _COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _POINT.fullmatch(text):
        text = text.replace(",", "")
    try:
        return float(text)
    except ValueError:
        return None


def is_number(cell: object) -> bool:
    """Whether a cell is or spells a finite number, with a decimal point."""
    number = parse_number(cell)
    return number is not None and math.isfinite(number)


def _plain(text: str) -> str:
    return _GROUPS.sub("", text.strip().replace("−", "-"))


def mark_of(cells: Sequence[object]) -> Mark | Literal["unclear"] | None:
    """The decimal mark of a column of numbers, some with a comma; None where some are no numbers.

    Unclear where each comma could part thousands or decimals, where one cell tells against the
    other, and where the cells could as well be ascending lists of whole numbers.
    """
    texts = [_plain(cell) for cell in cells if isinstance(cell, str)]
    if not are_numbers([parse_number(text, "comma") for text in texts]) and not are_numbers(
        [parse_number(text) for text in texts]
    ):
        return None
    commas = [text for text in texts if "," in text]
    points = [text for text in texts if _POINT.fullmatch(text)]
    only_point = any("." in text and not _COMMA.fullmatch(text) for text in texts) or any(
        not _COMMA.fullmatch(text) for text in points
    )
    only_comma = any(not _POINT.fullmatch(text) for text in commas)
    if only_point == only_comma:
        return "unclear"
    if only_comma and len(commas) < len(texts) and all(map(_is_ascending, commas)):
        return "unclear"
    return "comma" if only_comma else "point"


def _is_ascending(text: str) -> bool:
    """Whether it could be a list of whole numbers, such as 3,5 but not 3,0."""
    parts = text.split(",")
    return all(map(str.isdecimal, parts)) and sorted({*map(int, parts)}) == list(map(int, parts))


def are_numbers(values: Iterable[object]) -> bool:
    return all(isinstance(value, (int, float)) for value in values)


def settle_numbers(
    table: Table, column: str, faults: Faults
) -> tuple[list[object], list[Reading]] | None:
    """A column's cells as numbers, and what is said of it.

    None where it has no comma, or holds no numbers. What the training file was read as holds.
    """
    cells = table.columns[column]
    filled = [cell for cell in cells if not is_missing(cell)]
    example = next((cell for cell in filled if isinstance(cell, str) and "," in cell), None)
    settled = next((one for one in table.settled if one.question == DECIMAL.name), None)
    if example is None:
        return None
    if settled is not None or table.decimal != "auto":
        mark: Mark = "comma" if "comma" in (table.decimal, settled and settled.picked) else "point"
        numbers = _as_numbers(cells, mark)
        if settled:
            return numbers, []
        said = [_mark_read(table.source, column, mark, example)]
        return (numbers, said) if are_numbers(_as_numbers(filled, mark)) else None
    found = mark_of(filled)
    if found is None:
        return None
    if found == "unclear":
        _ask(column, example, table.place(cells.index(example)), faults)
        return list(cells), []
    return _as_numbers(cells, found), [_mark_read(table.source, column, found, example)]


def _as_numbers(cells: Sequence[object], mark: Mark) -> list[object]:
    """The cells as numbers where they are some."""
    found = [(cell, parse_number(cell, mark)) for cell in cells]
    return [cell if number is None else number for cell, number in found]


def _mark_read(source: str, column: str, mark: Mark, example: object) -> Reading:
    """That the numbers of a column were read with this decimal mark."""
    if mark == "comma":
        said = message(
            "data.decimal_comma",
            "{source}: '{column}' is read as numbers with a decimal comma, as in {example}; "
            "data.decimal=point takes the comma otherwise.",
            source=source,
            column=column,
            example=example,
        )
    else:
        said = message(
            "data.decimal_point",
            "{source}: '{column}' is read as numbers whose commas part thousands, as in {example}; "
            "data.decimal=comma takes the comma for the decimal mark.",
            source=source,
            column=column,
            example=example,
        )
    return read_as(DECIMAL, mark, said)


def _ask(column: str, example: object, place: Place, faults: Faults) -> None:
    faults.add(
        "data.decimal_unclear",
        "{example} in '{column}' may have a decimal comma or not",
        place,
        "data.decimal=comma reads numbers with a decimal comma, data.decimal=point takes the comma "
        "as what parts thousands, or labels",
        example=example,
        column=column,
    )
