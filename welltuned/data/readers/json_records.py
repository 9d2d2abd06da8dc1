"""JSON lines, and JSON documents in the layouts that are usual for tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import PurePath

from welltuned.data.config import DataConfig
from welltuned.data.readers.cells import table_of
from welltuned.data.readers.decoding import decode
from welltuned.data.readers.json_broken import (
    array_records,
    line_records,
    refuse_depth,
    stream_records,
)
from welltuned.data.readers.json_layouts import table_of_list, table_of_object, table_of_records
from welltuned.data.readers.json_nodes import DECODER, Node, root_of
from welltuned.data.readers.line_ends import with_feeds
from welltuned.data.table import Table
from welltuned.errors import Faults, Place

_LINES = (".jsonl", ".ndjson")
_PROBED = 50
"""How many lines are tried for whether each is a record."""


def read_json(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """Records one a line, in an array, or in an object of a layout that is known."""
    decoded = decode(raw, name, config, faults)
    if decoded is None:
        return None
    text = with_feeds(decoded.text)  # no string of JSON holds a bare line end
    try:
        table = _read(text, name, config, faults)
    except RecursionError:  # what is just not too deep to be parsed is too deep to be laid out
        refuse_depth(Place(name, 1), faults)
        return None
    return table and replace(table, readings=(*decoded.readings, *table.readings))


def _read(text: str, name: str, config: DataConfig, faults: Faults) -> Table | None:
    lines = [pair for pair in enumerate(text.split("\n"), 1) if pair[1].strip()]
    root = None if _holds_a_record_a_line(lines, name) else root_of(text)
    if root is None:
        return _read_records(text, lines, name, config, faults)
    table = _follow(root, name, config, faults)
    if table is None:
        return None
    if isinstance(table.value, list):
        return table_of_list(table, name, config, faults)
    if isinstance(table.value, dict):
        return table_of_object(table, name, config, faults)
    return table_of_records([(table.line, table.value)], name, faults)


def _holds_a_record_a_line(lines: list[tuple[int, str]], name: str) -> bool:
    """Whether the first two lines are values of their own; of JSON lines, one is enough."""
    least = 1 if PurePath(name).suffix.lower() in _LINES else 2
    return len(lines) >= least and all(_is_json(line) for _, line in lines[:2])


def _is_json(line: str) -> bool:
    try:
        DECODER.decode(line)
    except (json.JSONDecodeError, RecursionError):
        return False
    return True


def _read_records(
    text: str, lines: list[tuple[int, str]], name: str, config: DataConfig, faults: Faults
) -> Table | None:
    """Records that no document holds, or those of one up to where it breaks."""
    if config.json_path is not None:
        _refuse_path(config.json_path, "the file is not one JSON document", Place(name), faults)
        return None
    records = _records(text, lines, name, faults)
    lists = [(line, record) for line, record in records if isinstance(record, list)]
    if records and len(lists) == len(records):
        return table_of(lists, name, config, "give each row all cells", faults)
    return table_of_records(records, name, faults)


def _records(
    text: str, lines: list[tuple[int, str]], name: str, faults: Faults
) -> list[tuple[int, object]]:
    one_a_line = _holds_a_record_a_line(lines, name)
    if not one_a_line and text.lstrip().startswith("["):
        return list(array_records(text, name, faults))
    is_document = PurePath(name).suffix.lower() not in _LINES
    several = any(_is_json(line) for _, line in lines[:_PROBED] if line.startswith("{"))
    if one_a_line or several or (not is_document and _breaks_at_once(text)):
        return list(line_records(lines, name, faults))
    return list(stream_records(text, name, faults))


def _breaks_at_once(text: str) -> bool:
    """Whether there is no whole object at the beginning."""
    return not list(stream_records(text, "", Faults()))


def _follow(root: Node, name: str, config: DataConfig, faults: Faults) -> Node | None:
    """The value at `data.json_path`; the whole where none is given."""
    node = root
    for key in config.json_path.split(".") if config.json_path else ():
        inner = dict(node.inner()) if isinstance(node.value, dict) else {}
        if key not in inner:
            known = ", ".join(inner) or "a list of rows, not keys"
            _refuse_path(
                config.json_path or "", f"the document has {known}", Place(name, node.line), faults
            )
            return None
        node = inner[key]
    return node


def _refuse_path(path: str, found: str, place: Place, faults: Faults) -> None:
    faults.add(
        "data.json_path_unknown",
        "nothing stands at '{path}': {found}",
        place,
        "name a key that is there in data.json_path, or leave it out",
        path=path,
        found=found,
    )
