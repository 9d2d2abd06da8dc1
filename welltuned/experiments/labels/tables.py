"""Tables for a person to fill in or correct, as spreadsheets open them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from welltuned.data.cells import defused
from welltuned.runs.folder import write_atomically

_BYTE_ORDER_MARK = "\ufeff"
"""Without one Excel takes UTF-8 for an older encoding."""


def write_table(
    file: Path, rows: Sequence[Mapping[str, object]], first: Sequence[str] = ()
) -> None:
    """A CSV file in UTF-8; the columns named first, and then all others as they come.

    Cells that a spreadsheet would compute stand behind an apostrophe.
    """
    buffer = io.StringIO()
    columns = dict.fromkeys([*first, *(key for row in rows for key in row)])
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: defused(cell) for key, cell in row.items()} for row in rows)
    write_atomically(file, _BYTE_ORDER_MARK + buffer.getvalue())
