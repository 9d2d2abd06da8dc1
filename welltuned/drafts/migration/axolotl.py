"""axolotl: its YAML files for supervised fine-tuning, preferences and thumbs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from welltuned.drafts.migration.findings import KeyFinding
from welltuned.drafts.migration.library import (
    ForeignConfig,
    Library,
    as_data,
    check_turns,
    mapped_column,
    only_first,
)
from welltuned.errors import Faults, Place

_FIELDS = "field_"
"""What the keys begin with that name a column."""
_SAID = {"name": "data.subset", "revision": "data.revision"}
_USUAL_SPLITS = ("train", None)
_NOTHING = {
    "ds_type": "a file says its format by its name",
    "roles": "recognised by their names",
    "message_property_mappings": "recognised by their names",
    "trust_remote_code": "no code of a data set is run",
}


class Axolotl(Library):
    """Its data sets are a list, each with a type that says how its rows are read."""

    table_name: ClassVar[str] = "axolotl"

    def find_data(self, foreign: ForeignConfig, task: str, faults: Faults) -> Iterator[KeyFinding]:
        roles = self.table.columns.get(task, {})
        for key, split in (("datasets", "train"), ("test_datasets", "validation")):
            listed = foreign.get(key)
            if isinstance(listed, list) and listed and isinstance(listed[0], dict):
                only_first(listed, key, foreign.place(key), faults)
                yield from _dataset(foreign, key, listed[0], split, roles, task, faults)


def _dataset(
    foreign: ForeignConfig, key: str, dataset: Mapping[str, Any], split: str,
    roles: Mapping[str, str], task: str, faults: Faults,
) -> Iterator[KeyFinding]:  # fmt: skip
    """The first of a list."""
    yield _source(foreign, key, dataset, split)
    if split != "train":
        return
    for option, value in dataset.items():
        place, name = foreign.place(key, 0, option), f"{key}.0.{option}"
        if value is None or option == "data_files":
            continue
        if option == "path":
            if dataset.get("data_files"):
                yield KeyFinding(name, value, place, "nothing", note=_NOTHING["ds_type"])
        elif option.startswith(_FIELDS):
            role = roles.get(option.removeprefix(_FIELDS))
            found = mapped_column(name, value, place, role, task)
            yield from [found] if found else []
        else:
            yield from _option(name, option, value, place, roles, task)
    mapping = dataset.get("message_property_mappings") or {}
    speaker = mapping.get("role") or dataset.get("message_field_role")
    said = mapping.get("content") or dataset.get("message_field_content")
    check_turns(speaker, said, foreign.place(key, 0), faults)


def _source(foreign: ForeignConfig, key: str, dataset: Mapping[str, Any], split: str) -> KeyFinding:
    """Where it is: a file of its own, or one on the hub."""
    files = dataset.get("data_files")
    files = files[0] if isinstance(files, list) and files else files
    named, option = (files, "data_files") if files else (dataset.get("path"), "path")
    place = foreign.place(key, 0, option)
    ours = str(named) if option == "data_files" else as_data(str(named))
    return KeyFinding(f"{key}.0.{option}", named, place, "carried", f"data.{split}", ours)


def _option(
    name: str, option: str, value: object, place: Place, roles: Mapping[str, str], task: str
) -> Iterator[KeyFinding]:
    if option == "type" and isinstance(value, dict):
        for key, column in value.items():
            role = roles.get(str(key).removeprefix(_FIELDS))
            found = mapped_column(f"{name}.{key}", column, place, role, task)
            yield from [found] if found else []
    elif option == "type":
        note = "recognised by the columns; the model's own chat template is used"
        yield KeyFinding(name, value, place, "nothing", note=note)
    elif option in _SAID:
        yield KeyFinding(name, value, place, "carried", _SAID[option], value)
    elif option in _NOTHING or (option == "split" and value in _USUAL_SPLITS):
        note = _NOTHING.get(option, "splits are found by their names")
        yield KeyFinding(name, value, place, "nothing", note=note)
    else:
        yield KeyFinding(name, value, place, "left", note="no such choice is made here")
