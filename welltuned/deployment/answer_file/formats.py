"""The formats of answers, by suffix: what rows are gathered in, and what becomes of them.

JSON lines and CSV are appended to row by row, so that what is there can be read at any time.
Parquet has its index at its end: its rows are gathered as JSON lines beside the file, which is
written from them in row groups once all are there, and appears whole.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from welltuned.data.cells import as_typed, defused
from welltuned.deployment.answer_file.parquet import write_parquet
from welltuned.deployment.answer_file.rows import (
    Fields,
    columns_of,
    flat,
    has_answer,
    json_line,
)
from welltuned.deployment.answer_file.whole_rows import keep_whole_rows
from welltuned.errors import Fault, InputError, Place

_BYTE_ORDER_MARK = "\ufeff"
"""Without one Excel takes UTF-8 for an older encoding."""


class AnswerFormat(ABC):
    """One file of answers on its way."""

    needs: ClassVar[str | None] = None
    """The package that `finish` takes."""

    def __init__(self, target: Path) -> None:
        self.target = target

    @property
    def gathered(self) -> Path:
        """The file that rows are appended to."""
        return self.target

    def require_packages(self) -> None:
        """Raise `InputError` where that is missing."""
        if self.needs is not None and importlib.util.find_spec(self.needs) is None:
            raise InputError(
                Fault(
                    "predict.package_missing",
                    "writing {suffix} needs {package}",
                    Place(str(self.target)),
                    "pip install 'welltuned[data]', or write .csv or .jsonl",
                    suffix=self.target.suffix,
                    package=self.needs,
                )
            )

    @abstractmethod
    def recover(self) -> int:
        """Keep the whole rows of `gathered`, and return how many there are."""

    @abstractmethod
    def rows(self) -> Iterator[Fields]:
        """The rows of `gathered`: id and prediction, and code and cut where they have them."""

    @abstractmethod
    def text(self, row: Fields) -> str:
        """What is appended for a row; empty where it waits for those that come."""

    def rest(self) -> str:
        """What is appended for the rows that still wait when there are no more."""
        return ""

    def finish(self) -> None:
        """Make the file of what was gathered, where that is another one."""
        assert self.gathered == self.target, "what is gathered elsewhere has to be written here"


class JsonLinesFile(AnswerFormat):
    """Rows as they are printed, one a line."""

    def recover(self) -> int:
        return keep_whole_rows(self.gathered)

    def rows(self) -> Iterator[Fields]:
        with self.gathered.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)

    def text(self, row: Fields) -> str:
        return json_line(row) + "\n"


class CsvFile(AnswerFormat):
    """A table as spreadsheets open it: no cell of it is computed there.

    Its columns are those of the first answer. Rows without one, such as those of empty texts, wait
    until there is one.
    """

    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._columns: list[str] = []
        self._waiting: list[Fields] = []

    def recover(self) -> int:
        lines = keep_whole_rows(self.gathered, quoted=True)
        if not lines:
            return 0
        with self.gathered.open(encoding="utf-8-sig", newline="") as stream:
            self._columns = next(csv.reader(stream))
        return lines - 1

    def rows(self) -> Iterator[Fields]:
        csv.field_size_limit(sys.maxsize)
        with self.gathered.open(encoding="utf-8-sig", newline="") as stream:
            for cells in csv.DictReader(stream):
                told = {name: cells[name] for name in ("code", "cut") if cells[name]}
                said = None if "code" in told else cells["prediction"]
                yield {"id": as_typed(cells["id"]), "prediction": said, **told}

    def text(self, row: Fields) -> str:
        if self._columns:
            return self._table([row])
        self._waiting.append(row)
        return self._begin(flat(row)) if has_answer(row) else ""

    def rest(self) -> str:
        return "" if self._columns else self._begin({})

    def _begin(self, answered: Mapping[str, object]) -> str:
        """The names of the columns, and the rows that have waited for them."""
        self._columns, waiting = columns_of(answered), self._waiting
        self._waiting = []
        head = io.StringIO()
        csv.writer(head, lineterminator="\n").writerow(self._columns)
        return _BYTE_ORDER_MARK + head.getvalue() + self._table(waiting)

    def _table(self, rows: list[Fields]) -> str:
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, self._columns, lineterminator="\n")
        for row in rows:
            cells = {name: defused(_csv_cell(cell)) for name, cell in flat(row).items()}
            writer.writerow(cells)
        return buffer.getvalue()


class ParquetFile(JsonLinesFile):
    """Columns of one type each, in row groups."""

    needs: ClassVar[str | None] = "pyarrow"

    @property
    def gathered(self) -> Path:
        return self.target.with_name(f"{self.target.name}.rows.jsonl")

    def finish(self) -> None:
        write_parquet(self.gathered, self.target)
        self.gathered.unlink()


FORMATS_OUT: Mapping[str, type[AnswerFormat]] = {
    ".csv": CsvFile,
    ".jsonl": JsonLinesFile,
    ".parquet": ParquetFile,
}
"""By the suffix of a file's name."""


def format_for(target: Path) -> AnswerFormat:
    """The format of a file by its name. Raises `InputError` for one that is none of ours."""
    kind = FORMATS_OUT.get(target.suffix.lower())
    if kind is None:
        raise InputError(
            Fault(
                "predict.out_format_unknown",
                "answers cannot be written as {suffix}",
                Place(str(target)),
                "name a file of {known}",
                suffix=target.suffix or "a file without suffix",
                known=", ".join(FORMATS_OUT),
            )
        )
    return kind(target)


def _csv_cell(cell: object) -> object:
    """Lists as JSON, and flags as JSON writes them."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    is_list = isinstance(cell, (list, tuple))
    return json.dumps(cell, ensure_ascii=False, default=str) if is_list else cell
