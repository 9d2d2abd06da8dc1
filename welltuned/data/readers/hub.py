"""The `datasets` library: saved folders and hub data sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.layouts.nested import with_nested
from welltuned.data.readers.class_names import name_classes
from welltuned.data.readers.streamed import AT_ONCE, Columns, kept_on_disk
from welltuned.data.storage import on_disk
from welltuned.data.table import SPLIT_NAMES, Table
from welltuned.errors import Faults
from welltuned.schema.messages import message


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
            else datasets.load_dataset(
                name, config.subset, revision=config.revision, streaming=config.streaming
            )
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
        is_fetched = not hasattr(part, "num_rows")
        table = _from_stream(part, name) if is_fetched else _from_dataset(part, name)
    except Exception as error:
        _tell_unavailable(name, error, faults)
        return None
    return with_nested(table, config.named_columns)


def _from_dataset(part: Any, name: str) -> Table:
    """A split of a `datasets` data set; class indices become their names."""
    part.data.table.validate(full=True)  # else damage could end the process without a word
    lines = list(range(1, part.num_rows + 1))
    if part.data.nbytes < on_disk.LARGE:
        return Table(name, _cells(part.features, part[:]), lines)
    columns = Columns()
    for start in range(0, part.num_rows, AT_ONCE):
        some = slice(start, start + AT_ONCE)
        columns.add(_cells(part.features, part[some]), len(lines[some]))
    return Table(name, columns.done(), lines, (kept_on_disk(name, part.data.nbytes),))


def _from_stream(part: Any, name: str) -> Table:
    """A split of a data set that is fetched as it is read."""
    columns, rows = Columns(), 0
    for batch in part.iter(AT_ONCE):
        fetched = len(next(iter(batch.values())))
        columns.add(_cells(part.features or {}, batch), fetched)
        rows += fetched
    told = message(
        "data.streamed",
        "{source}: {rows:,} rows, read as they were fetched; their texts are kept on disk while "
        "they are needed.",
        source=name,
        rows=rows,
    )
    return Table(name, columns.done(), list(range(1, rows + 1)), (told,))


def _cells(features: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Rows by columns, with the names of classes in place of their numbers."""
    return {
        column: [name_classes(cell, names) for cell in cells] if names else list(cells)
        for column, cells in batch.items()
        for names in [_class_names(features.get(column))]
    }


def _class_names(feature: Any) -> list[str] | None:
    """The classes of a column; of a list of classes, such as the tags of words, those of each."""
    names = getattr(feature, "names", None)
    return getattr(getattr(feature, "feature", None), "names", None) if names is None else names
