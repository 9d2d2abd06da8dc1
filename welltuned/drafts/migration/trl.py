"""TRL: the YAML files of `trl sft`, `trl dpo` and `trl kto`, by the names of arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from welltuned.drafts.migration.findings import KeyFinding, Outcome
from welltuned.drafts.migration.library import (
    ForeignConfig,
    Library,
    as_data,
    mapped_column,
    only_first,
)
from welltuned.errors import Faults

_PARTS = {"path": "data.train", "name": "data.subset"}
_USUAL_SPLITS = ("train", "validation", "test", None)
_FORMAT = "a file says its format by its name"
_SPLITS = "splits are found by their names: train, validation and test"


class Trl(Library):
    """One table for all commands; which one a file is for is told by the keys in it."""

    table_name: ClassVar[str] = "trl"

    def find_data(self, foreign: ForeignConfig, task: str, faults: Faults) -> Iterator[KeyFinding]:
        mixture = foreign.get("datasets")
        if isinstance(mixture, list) and mixture:
            only_first(mixture, "datasets", foreign.place("datasets"), faults)
            if isinstance(mixture[0], dict):
                yield from _of_mixture(foreign, mixture[0])
        elif (name := foreign.get("dataset_name")) is not None:
            place = foreign.place("dataset_name")
            ours = as_data(str(name))
            yield KeyFinding("dataset_name", name, place, "carried", "data.train", ours)
        for key in ("dataset_train_split", "dataset_test_split"):
            if (split := foreign.get(key)) is not None:
                outcome: Outcome = "nothing" if split in _USUAL_SPLITS else "left"
                yield KeyFinding(key, split, foreign.place(key), outcome, note=_SPLITS)
        text = foreign.get("dataset_text_field")
        place = foreign.place("dataset_text_field")
        role = self.table.columns.get(task, {}).get("text")
        if (found := mapped_column("dataset_text_field", text, place, role, task)) is not None:
            yield found


def _of_mixture(foreign: ForeignConfig, dataset: Mapping[str, Any]) -> Iterator[KeyFinding]:
    """The first data set of several."""
    files = dataset.get("data_files")
    for key, value in dataset.items():
        place, name = foreign.place("datasets", 0, key), f"datasets.0.{key}"
        if value is None:
            continue
        if key in _PARTS and not (key == "path" and isinstance(files, str)):
            ours = as_data(str(value)) if key == "path" else value
            yield KeyFinding(name, value, place, "carried", _PARTS[key], ours)
        elif key == "data_files" and isinstance(value, str):
            yield KeyFinding(name, value, place, "carried", "data.train", value)
        elif key == "path":
            yield KeyFinding(name, value, place, "nothing", note=_FORMAT)
        elif key == "split" and value in _USUAL_SPLITS:
            yield KeyFinding(name, value, place, "nothing", note=_SPLITS)
        else:
            yield KeyFinding(name, value, place, "left", note="no such choice is made here")
