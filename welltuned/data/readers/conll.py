"""CoNLL files: one word with its columns per line, a blank line after each sentence.

The first column is the word, the last one its tag. Columns are separated by tabs,
or by spaces in lines without a tab.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from welltuned.data.config import DataConfig
from welltuned.data.readers.decoding import decode
from welltuned.data.readers.line_ends import split_lines
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

_DOCUMENT = "-DOCSTART-"

Line = tuple[int, str]
"""A line with its number."""


class ConllSentences(NamedTuple):
    """Columns with a list of cells a sentence, and the line each sentence starts at."""

    columns: dict[str, list[list[str]]]
    lines: list[int]
    notes: tuple[Message, ...]


def parse(lines: Iterable[Line], source: str, faults: Faults) -> ConllSentences:
    """Read numbered lines; where a number is missing, a blank line stood.

    The columns are `words`, `column 2` and so on, and `tags`, or `words` alone.
    Lines that mark a document, or hold a comment such as `# id = 7` above a sentence,
    are skipped and counted. Lines with too few or too many columns are faults.
    """
    skipped = {"document": 0, "comment": 0}
    sentences = [kept for block in _blocks(lines) if (kept := _strip(block, skipped))]
    rows = [[(number, _cells(line)) for number, line in sentence] for sentence in sentences]
    width = len(rows[0][0][1]) if rows else 0
    first = rows[0][0][0] if rows else 0
    for sentence in rows:
        for number, cells in sentence:
            _check(cells, width, first, Place(source, number), faults)
    columns = {
        name: [[cells[at] if at < len(cells) else "" for _, cells in row] for row in rows]
        for at, name in enumerate(_names(width))
    }
    return ConllSentences(columns, [row[0][0] for row in rows], tuple(_skipped(skipped, source)))


def _skipped(skipped: dict[str, int], source: str) -> Iterator[Message]:
    if number := skipped["document"]:
        yield message(
            "data.document_lines_skipped",
            "{source}: lines that mark a document, skipped: {number:,}.",
            source=source,
            number=number,
        )
    if number := skipped["comment"]:
        yield message(
            "data.comment_lines_skipped",
            "{source}: lines that hold a comment, skipped: {number:,}.",
            source=source,
            number=number,
        )


def _names(width: int) -> list[str]:
    if width < 2:
        return ["words"][:width]
    return ["words", *(f"column {number}" for number in range(2, width)), "tags"]


def _blocks(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines between blank ones; a document begins a block of its own."""
    block: list[Line] = []
    for number, line in lines:
        blank = not line.strip(" \t\r")
        apart = blank or line.startswith(_DOCUMENT)
        if block and (apart or number != block[-1][0] + 1):
            yield block
            block = []
        if not blank:
            block.append((number, line.strip("\r")))
    if block:
        yield block


def _strip(block: list[Line], skipped: dict[str, int]) -> list[Line]:
    """A block without the lines above its sentence that are no words."""
    for position, (_, line) in enumerate(block):
        if line.startswith(_DOCUMENT):
            skipped["document"] += 1
        elif line.startswith("# ") and "=" in line:
            skipped["comment"] += 1
        else:
            return block[position:]
    return []


def _cells(line: str) -> list[str]:
    # Only plain spaces part columns: others, such as a no-break space, can be words.
    return line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]


def _check(cells: list[str], width: int, first: int, place: Place, faults: Faults) -> None:
    if len(cells) != width:
        faults.add_counted(
            "data.conll_width",
            "{found} columns where line {first} has {expected}",
            place,
            "write one word per line with its columns, and a blank line after each sentence",
            found=len(cells),
            first=first,
            expected=width,
        )
    elif not cells[0].strip(" ") or not cells[-1].strip(" "):
        refuse_missing("tag" if cells[0].strip(" ") else "word", place, faults)


def refuse_missing(cell: str, place: Place, faults: Faults) -> None:
    """Record that a word or its tag is missing."""
    faults.add_counted(
        "data.conll_cell_missing",
        "the {cell} is missing",
        place,
        "fill it in, or remove the line",
        cell=cell,
    )


def read_conll(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """One sentence per row, as words and their columns."""
    decoded = decode(raw, name, config, faults)
    if decoded is None:
        return None
    lines, readings = split_lines(decoded.text, name, config)
    return Table(name, *parse(lines, name, faults), (*decoded.readings, *readings))
