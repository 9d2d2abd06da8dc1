"""Parquet files, through pyarrow."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

from welltuned.data.config import DataConfig
from welltuned.data.readers.class_names import name_classes
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

if TYPE_CHECKING:
    import pyarrow


def read_parquet(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """A Parquet table; class indices written by `datasets` become their names."""
    try:
        import pyarrow.parquet
    except ImportError:
        faults.add(
            "data.pyarrow_missing",
            "reading Parquet needs pyarrow",
            Place(name),
            "pip install 'welltuned[data]'",
        )
        return None
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(raw))
        columns = _columns_of(table)
    except Exception as error:  # its pages, texts and notes break in many ways
        faults.add(
            "data.bad_parquet",
            "not a Parquet file: {reason}",
            Place(name),
            "write it again, or give CSV or JSON lines",
            reason=str(error).strip() or type(error).__name__,
        )
        return None
    return Table(name, columns, list(range(1, table.num_rows + 1)))


def _columns_of(table: pyarrow.Table) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = table.to_pydict()
    for column, names in names_of_classes(table.schema.metadata).items():
        columns[column] = [name_classes(cell, names) for cell in columns[column]]
    return columns


def names_of_classes(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of class indices by column, as the `datasets` library leaves them in a file."""
    written = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    found: dict[str, list[str]] = {}
    for column, feature in written.get("info", {}).get("features", {}).items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            found[column] = inner["names"]
    return found
