"""The layouts in which one JSON object holds a table, as pandas and people write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.readers.cells import table_of
from welltuned.data.readers.header import USUAL_NAMES
from welltuned.data.readers.json_nodes import Node
from welltuned.data.readings import question, read_as
from welltuned.data.table import Table
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

LAYOUT = question(
    "layout",
    asks="How does a JSON document that is one object hold its rows?",
    evidence="As pandas writes `split` and `table`; in the only list of objects that are no turns "
    "of a chat; as columns where all values are lists of equal length; where all values are "
    "objects, as rows or columns by which of their keys are numbers, usual names or in "
    "data.columns. Asked for elsewhere. An object of other values is one row.",
    key="data.json_layout",
)


def table_of_object(root: Node, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """The table that a JSON object holds; None where it cannot be told, with a fault recorded."""
    parts = dict(root.inner())
    if config.json_layout != "auto":
        return _forced(root, parts, name, config, faults)
    columns = parts.get("columns")
    if columns and isinstance(columns.value, list) and (rows := _lists_of_cells(parts)):
        return _of_split(columns, rows, name, faults)
    data = parts.get("data")
    if data and "schema" in parts and _holds_records(data.value):
        return _of_schema(parts, name, config, faults)
    within = [key for key, node in parts.items() if _holds_table(node.value)]
    if len(within) > 1 and not all(map(str.isdigit, within)):
        _refuse_several(within, root, name, faults)
        return None
    if len(within) != 1:
        return _of_values(root, parts, name, config, faults)
    only = parts[within[0]]
    if isinstance(only.value, dict):
        return table_of_object(only, name, config, faults)
    table = table_of_list(only, name, config, faults)
    return _told(table, f"rows in {within[0]}", _rows_in(within[0], name))


def _of_values(
    root: Node, parts: Mapping[str, Node], name: str, config: DataConfig, faults: Faults
) -> Table | None:
    values = [node.value for node in parts.values()]
    if _are_columns(values):
        return _told(_of_columns(parts, name), "columns", _lists_as_columns(name))
    lists = {key: len(node.value) for key, node in parts.items() if _is_list_of_cells(node.value)}
    if len(lists) > 1:
        _ask_of_lists(lists, root, name, faults)
        return None
    if values and all(isinstance(value, dict) and value for value in values):
        return _of_objects(root, parts, name, config, faults)
    return _of_records([root], name, faults)


def _forced(
    root: Node, parts: Mapping[str, Node], name: str, config: DataConfig, faults: Faults
) -> Table | None:
    """The layout that the config names."""
    fits: dict[str, Callable[[Any], bool]] = {
        "records": lambda values: True,
        "columns": lambda values: _are_columns(_lists(values)) or _all_objects(values),
        "index": _all_objects,
    }
    if not fits[config.json_layout]([node.value for node in parts.values()]):
        faults.add(
            "data.json_layout_does_not_fit",
            "the object is not laid out as '{layout}'",
            Place(name, root.line),
            "leave out data.json_layout, or name the key of the table in data.json_path",
            layout=config.json_layout,
        )
        return None
    if config.json_layout == "records":
        return _of_records([root], name, faults)
    return (_of_columns if config.json_layout == "columns" else _of_index)(parts, name)


def table_of_list(node: Node, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """A list of records, or of lists of cells, the first of which may name the columns."""
    inner = [one for _, one in node.inner()]
    if inner and _are_lists([one.value for one in inner]):
        return table_of(
            [(one.line, one.value) for one in inner],
            name,
            config,
            "give each row all cells",
            faults,
        )
    return _of_records(inner, name, faults)


# --- Layouts -------------------------------------------------------------------------


def _of_records(nodes: Sequence[Node], name: str, faults: Faults) -> Table:
    return table_of_records([(node.line, node.value) for node in nodes], name, faults)


def table_of_records(records: Sequence[tuple[int, object]], name: str, faults: Faults) -> Table:
    """Records with their lines as columns; a cell that a record lacks is None."""
    good: list[tuple[int, dict[str, Any]]] = []
    for line, record in records:
        if isinstance(record, dict):
            good.append((line, record))
        else:
            faults.add_counted(
                "data.record_not_an_object",
                "a record must be an object, not {type}",
                Place(name, line),
                'write {{"text": …, "label": …}}',
                type=type(record).__name__,
            )
    columns = dict.fromkeys(key for _, record in good for key in record)
    return Table(
        name,
        {column: [record.get(column) for _, record in good] for column in columns},
        [line for line, _ in good],
    )


def _of_split(columns: Node, data: Node, name: str, faults: Faults) -> Table | None:
    """`columns` names the cells of the lists in `data`, as pandas' `split` has it."""
    rows = [(node.line, node.value) for _, node in data.inner()]
    header = (columns.line, columns.value)
    config = DataConfig(train=name, header=True)
    return table_of([header, *rows], name, config, "give each row all cells", faults)


def _of_schema(
    parts: Mapping[str, Node], name: str, config: DataConfig, faults: Faults
) -> Table | None:
    """The records of pandas' `table`, without the index that it adds."""
    table = table_of_list(parts["data"], name, config, faults)
    schema = parts["schema"].value
    keys = schema.get("primaryKey", []) if isinstance(schema, dict) else []
    added = "index" if keys == ["index"] else None
    if table is None or added is None:
        return table
    return replace(table, columns={k: v for k, v in table.columns.items() if k != added})


def _of_columns(parts: Mapping[str, Node], name: str) -> Table:
    """A list, or else an object of cells by row, for each column; others are none.

    A cell that an object lacks is None.
    """
    lists = {key: node for key, node in parts.items() if isinstance(node.value, list)}
    cells = {column: _by_row(node) for column, node in (lists or parts).items()}
    rows: dict[str, Node] = {}
    for by_row in cells.values():
        for row, one in by_row.items():
            rows.setdefault(row, one)
    columns = {
        column: [by_row[row].value if row in by_row else None for row in rows]
        for column, by_row in cells.items()
    }
    return Table(name, columns, [node.line for node in rows.values()])


def _by_row(node: Node) -> dict[str, Node]:
    """The cells of a column by the keys, or else the numbers, of their rows."""
    if isinstance(node.value, dict):
        return dict(node.inner())
    return {str(number): one for number, (_, one) in enumerate(node.inner())}


def _of_index(parts: Mapping[str, Node], name: str) -> Table:
    """An object of cells by column for each row."""
    return _of_records(list(parts.values()), name, Faults())


def _of_objects(
    root: Node, parts: Mapping[str, Node], name: str, config: DataConfig, faults: Faults
) -> Table | None:
    """Objects in an object: those within are rows or columns."""
    outer = list(parts)
    within = list(next(iter(parts.values())).value)
    if any(list(node.value) != within for node in parts.values()):
        if all(map(str.isdigit, outer)):
            return _of_index(parts, name)
        _ask(root, name, faults)
        return None
    for are_columns in _signs(config):
        if are_columns(outer) and not are_columns(within):
            said = _objects_as_columns(outer, within, name)
            return _told(_of_columns(parts, name), "columns", said)
        if are_columns(within) and not are_columns(outer):
            said = _objects_as_rows(outer, within, name)
            return _told(_of_index(parts, name), "index", said)
    _ask(root, name, faults)
    return None


def _signs(config: DataConfig) -> list[Callable[[Sequence[str]], bool]]:
    """What tells keys that are columns from others, the strongest first."""
    mapped = config.named_columns
    return [
        lambda keys: bool(mapped & set(keys)),
        lambda keys: not all(map(str.isdigit, keys)),
        lambda keys: bool({key.casefold() for key in keys} & USUAL_NAMES),
    ]


# --- What is what --------------------------------------------------------------------


def _holds_records(value: Any) -> bool:
    """A list of objects that are not the turns of a conversation."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and not {"role", "from"} & one.keys() for one in value)
    )


def _are_columns(values: Sequence[Any]) -> bool:
    """Lists of equal length, none of which is a conversation."""
    return (
        bool(values)
        and all(isinstance(value, list) and value for value in values)
        and len({len(value) for value in values}) == 1
        and not any(isinstance(value[0], dict) for value in values)
    )


def _are_lists(values: Sequence[Any]) -> bool:
    return all(isinstance(value, list) for value in values)


def _lists(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, list)]


def _is_list_of_cells(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not isinstance(value[0], dict)


def _lists_of_cells(parts: Mapping[str, Node]) -> Node | None:
    """The only list of lists."""
    found = [
        node
        for node in parts.values()
        if isinstance(node.value, list) and node.value and _are_lists(node.value)
    ]
    return found[0] if len(found) == 1 else None


def _holds_table(value: Any) -> bool:
    """A list of records, an object of columns, or one that holds a list of records."""
    if not isinstance(value, dict):
        return _holds_records(value)
    return _are_columns(list(value.values())) or any(map(_holds_records, value.values()))


def _all_objects(values: Sequence[Any]) -> bool:
    return bool(values) and all(isinstance(value, dict) and value for value in values)


def _ask(root: Node, name: str, faults: Faults) -> None:
    faults.add(
        "data.layout_unclear",
        "the objects in this JSON object may be rows or columns",
        Place(name, root.line),
        "say which: data.json_layout=index for rows, =columns, or =records if all is one row",
    )


def _ask_of_lists(lengths: Mapping[str, int], root: Node, name: str, faults: Faults) -> None:
    faults.add(
        "data.json_lists_unclear",
        "the JSON object may be one row, or its lists columns: {lists}",
        Place(name, root.line),
        "data.json_layout=records reads one row; data.json_layout=columns reads columns, which "
        "must have equal lengths",
        lists=", ".join(f"{key} ({length:,})" for key, length in lengths.items()),
    )


def _refuse_several(keys: Sequence[str], root: Node, name: str, faults: Faults) -> None:
    """Record that a table is to be chosen."""
    faults.add(
        "data.json_tables_several",
        "the JSON object holds several tables: {keys}",
        Place(name, root.line),
        "name one: data.json_path={first}",
        keys=", ".join(keys),
        first=keys[0],
    )


def _told(table: Table | None, picked: str, said: Message) -> Table | None:
    return table and replace(table, readings=(read_as(LAYOUT, picked, said), *table.readings))


def _rows_in(key: str, name: str) -> Message:
    return message(
        "data.json_rows_in",
        "{source}: one JSON object; its rows are those of '{key}', the only list of objects "
        "(data.json_path or data.json_layout reads it otherwise).",
        source=name,
        key=key,
    )


def _lists_as_columns(name: str) -> Message:
    return message(
        "data.json_lists_as_columns",
        "{source}: one JSON object; its values are columns, for they are lists of equal length "
        "(data.json_layout=records takes it for one row).",
        source=name,
    )


def _objects_as_columns(outer: list[str], within: list[str], name: str) -> Message:
    return message(
        "data.json_objects_as_columns",
        "{source}: JSON objects in an object; its own keys, such as {outer}, name columns, and "
        "those within, such as {within}, rows (data.json_layout=index reads it otherwise).",
        source=name,
        outer=outer[0],
        within=within[0],
    )


def _objects_as_rows(outer: list[str], within: list[str], name: str) -> Message:
    return message(
        "data.json_objects_as_rows",
        "{source}: JSON objects in an object; its own keys, such as {outer}, name rows, and "
        "those within, such as {within}, columns (data.json_layout=columns reads it otherwise).",
        source=name,
        outer=outer[0],
        within=within[0],
    )
