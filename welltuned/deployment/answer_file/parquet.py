"""JSON lines as a Parquet file: two passes, so that it takes the memory of one row group."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from welltuned.deployment.answer_file.rows import Fields, columns_of, flat
from welltuned.runs.disk import writing

if TYPE_CHECKING:
    import pyarrow

_ROW_GROUP = 50_000
_JSON, _TEXT = "json", "text"
_UNSAID = {"abstained": {"flag"}, "cut": {"flag"}}
"""The kind of columns of which no row has anything to say, where that is no text."""
Kinds = dict[str, str]
"""What kind of values a column has, by its name."""


def write_parquet(lines: Path, target: Path) -> None:
    """Write `target` beside itself, in row groups, and rename it when it is whole.

    What is no number, flag, text or list of either numbers or texts throughout a column is JSON.
    Raises `RunFailed` where there is no room.
    """
    import pyarrow
    import pyarrow.parquet

    kinds = kinds_of(_rows(lines))
    schema = pyarrow.schema([(name, _type_of(kind)) for name, kind in kinds.items()])
    rows, beside = _rows(lines), target.with_name(f".{target.name}.new")
    with writing(target, half=beside):
        with pyarrow.parquet.ParquetWriter(str(beside), schema) as writer:
            while some := list(islice(rows, _ROW_GROUP)):
                cells = [
                    {name: _cell(row.get(name), kinds[name]) for name in kinds} for row in some
                ]
                writer.write_table(pyarrow.Table.from_pylist(cells, schema=schema))
        beside.replace(target)


def kinds_of(rows: Iterator[Fields]) -> Kinds:
    """The kind of every column: number, flag, text, numbers or texts, else json."""
    found: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            found.setdefault(name, set()).update(_kind(value))
    columns = columns_of(found)
    return {name: _one_of(found.get(name, set()) or _UNSAID.get(name, set())) for name in columns}


def _cell(value: object, kind: str) -> object:
    """A value as its column takes it."""
    if value is None or kind not in (_JSON, _TEXT) or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _one_of(kinds: set[str]) -> str:
    return _TEXT if not kinds else next(iter(kinds)) if len(kinds) == 1 else _JSON


def _kind(value: object) -> set[str]:
    """Its kind; none of what any column takes."""
    if value is None:
        return set()
    if isinstance(value, bool):
        return {"flag"}
    if isinstance(value, (int, float)):
        return {"number"}
    if isinstance(value, str):
        return {_TEXT}
    inner = set[str]().union(*map(_kind, value)) if isinstance(value, list) else {_JSON}
    plural = {"number": "numbers", _TEXT: "texts"}
    return {plural.get(kind, _JSON) for kind in inner} if len(inner) < 2 else {_JSON}


def _type_of(kind: str) -> pyarrow.DataType:
    import pyarrow

    number, text = pyarrow.float64(), pyarrow.string()
    types = {"number": number, "numbers": pyarrow.list_(number), "texts": pyarrow.list_(text)}
    return pyarrow.bool_() if kind == "flag" else types.get(kind, text)


def _rows(lines: Path) -> Iterator[Fields]:
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            yield flat(json.loads(line))
