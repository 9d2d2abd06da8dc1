"""The `datasets` library: saved folders and hub data sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from welltuned.data import on_disk
from welltuned.data.config import DataConfig
from welltuned.data.nested import with_nested
from welltuned.data.readers.class_names import name_classes
from welltuned.data.readers.streamed import AT_ONCE, Columns, kept_on_disk
from welltuned.data.table import SPLIT_NAMES, Table
from welltuned.errors import Faults


def readers_of_dataset(
    name: str, config: DataConfig, faults: Faults, local: bool
) -> dict[str, Callable[[], Table | None]]:
    """Readers by split of a saved folder (`local`) or of a hub data set."""
    try:
        import datasets
    except ImportError:
        what = (
            "a saved `datasets` folder"
            if local
            else f"'{name}', which is no file here and so taken for a hub data set,"
        )
        faults.add(
            "data.datasets_missing",
            "reading {what} needs the datasets library",
            None,
            "pip install 'welltuned[data]', or check the path",
            what=what,
        )
        return {}
    try:
        loaded = (
            datasets.load_from_disk(name)
            if local
            else datasets.load_dataset(name, config.subset, revision=config.revision)
        )
    except Exception as error:  # of many kinds; each means that the data cannot be had
        _tell_unavailable(name, error, faults)
        return {}
    if isinstance(loaded, datasets.Dataset):
        loaded = {"train": loaded}
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, names in SPLIT_NAMES.items():
        for known in names:
            if known in loaded and split not in readers:
                readers[split] = partial(
                    _read_split, loaded[known], f"{name}[{known}]", config, faults
                )
    if not readers:
        faults.add(
            "data.dataset_without_splits",
            "the data set '{name}' has no split named train, validation or test",
            None,
            "it has: {splits}",
            name=name,
            splits=", ".join(map(str, loaded)),
        )
    return readers


def _tell_unavailable(name: str, error: Exception, faults: Faults) -> None:
    faults.add(
        "data.dataset_unavailable",
        "cannot load the data set '{name}': {reason}",
        None,
        "check the spelling, the path and the network",
        name=name,
        reason=next(iter(str(error).splitlines()), type(error).__name__),
    )


def _read_split(part: Any, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """One split; None where its file is damaged, with the fault recorded."""
    try:
        part.data.table.validate(full=True)  # else damage could end the process without a word
        table = _from_dataset(part, name)
    except Exception as error:
        _tell_unavailable(name, error, faults)
        return None
    return with_nested(table, config.named_columns)


def _from_dataset(part: Any, name: str) -> Table:
    """A split of a `datasets` data set; class indices become their names."""
    lines = list(range(1, part.num_rows + 1))
    if part.data.nbytes < on_disk.LARGE:
        return Table(name, {one: _cells(part, one, slice(None)) for one in part.features}, lines)
    columns = Columns()
    for start in range(0, part.num_rows, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        cells = {column: _cells(part, column, some) for column in part.features}
        columns.add(cells, len(lines[some]))
    return Table(name, columns.done(), lines, (kept_on_disk(name, part.data.nbytes),))


def _cells(part: Any, column: str, rows: slice) -> list[Any]:
    feature = part.features[column]
    names = getattr(feature, "names", None)
    if names is None:  # a list of classes, such as the tags of a sentence's words
        names = getattr(getattr(feature, "feature", None), "names", None)
    cells = part[column][rows]
    return [name_classes(cell, names) for cell in cells] if names else list(cells)
