"""Reading tables: CSV, TSV, JSON, JSON lines, Parquet, CoNLL, `datasets` folders and the hub.

A reader never guesses around damage. Every fault it meets is recorded with the
line and column where it stands, and reading goes on, so that all are shown.
"""

from __future__ import annotations

import bisect
import csv
import io
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from welltuned.data.config import DataConfig
from welltuned.data.readers import conll
from welltuned.errors import Faults, Place

SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing"),
}
_MISSING = object()


def name_of(data: str, generic: Collection[str] = SPLITS) -> str:
    """What people would call a source: its file's name, or its folder's where that is `generic`.

    Empty for a file of a generic name without a folder.
    """
    path = Path(data.removeprefix("demo:").removeprefix("hub:"))
    return path.parent.name if path.stem in generic else path.stem


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and the line (or row) each record starts at."""

    source: str
    columns: dict[str, list[Any]]
    lines: list[int]
    notes: tuple[str, ...] = field(default=())
    mapped: bool = False
    """Whether the columns bear the names of their roles already, as conversions leave them."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, index: int, column: int | None = None) -> Place:
        return Place(self.source, self.lines[index], column)


def find_sources(config: DataConfig, faults: Faults) -> dict[str, Callable[[], Table | None]]:
    """A reader for each split that exists; splits to be cut off the training data have none."""
    named = {"train": config.train, "validation": config.validation, "test": config.test}
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, name in named.items():
        if name is None:
            continue
        found = _readers_of(name, config, faults)
        if not found:
            continue
        if split == "train":
            readers.update(
                {
                    key: reader
                    for key, reader in found.items()
                    if key == "train" or named[key] is None
                }
            )
        else:
            readers[split] = found.get(split) or found.get("train") or next(iter(found.values()))
    return readers


def read_file(name: str, config: DataConfig, faults: Faults) -> Table | None:
    """Read one file (or the named thing's only split).

    None when it could not be read, with the faults recorded.
    """
    found = _readers_of(name, config, faults)
    reader = found.get("train") or next(iter(found.values()), None)
    return reader() if reader else None


def _readers_of(
    name: str, config: DataConfig, faults: Faults
) -> dict[str, Callable[[], Table | None]]:
    """Readers by split. A single file counts as `train`."""
    if name.startswith("demo:"):
        path = Path(__file__).parent / "demo" / f"{name.removeprefix('demo:')}.jsonl"
        if not path.exists():
            known = ", ".join(f"demo:{file.stem}" for file in sorted(path.parent.glob("*.jsonl")))
            faults.add(f"there is no embedded data set '{name}'", None, f"choose one of: {known}")
            return {}
        return {"train": lambda: _read_path(path, name, config, faults)}
    path = Path(name).expanduser()
    if path.is_dir():
        return _readers_of_folder(path, name, config, faults)
    if path.exists():
        return {"train": lambda: _read_path(path, name, config, faults)}
    if name.startswith("hub:") or (not path.suffix and name.count("/") <= 1):
        return _readers_of_dataset(name.removeprefix("hub:"), config, faults, local=False)
    faults.add("there is no such data file", Place(name), "check the path")
    return {}


def _readers_of_folder(
    path: Path, name: str, config: DataConfig, faults: Faults
) -> dict[str, Callable[[], Table | None]]:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _readers_of_dataset(str(path), config, faults, local=True)
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, stems in _SPLIT_NAMES.items():
        files = [
            file
            for stem in stems
            for file in sorted(path.glob(f"{stem}.*"))
            if file.suffix.lower() in _FORMATS
        ]
        if len(files) > 1:
            faults.add(
                f"the folder has several files for {split}: "
                f"{', '.join(file.name for file in files)}",
                Place(name),
                f"name one in data.{split}",
            )
        elif files:
            readers[split] = lambda file=files[0]: _read_path(file, str(file), config, faults)  # type: ignore[misc]
    if "train" not in readers:
        faults.add(
            "the folder holds no train file",
            Place(name),
            f"name it train{'|'.join(sorted(_FORMATS))}, or give the file itself",
        )
    return readers


def _read_path(path: Path, name: str, config: DataConfig, faults: Faults) -> Table | None:
    reader = _FORMATS.get(path.suffix.lower())
    if reader is None:
        faults.add(
            f"files of type '{path.suffix or 'without suffix'}' are not read",
            Place(name),
            f"use one of: {', '.join(_FORMATS)}",
        )
        return None
    try:
        raw = path.read_bytes()
    except OSError as error:
        faults.add(
            f"the file cannot be read ({error.strerror})",
            Place(name),
            "check the path and its permissions",
        )
        return None
    if not raw.strip():
        faults.add("the file is empty", Place(name), "give a file with rows")
        return None
    before = len(faults)
    table = reader(raw, name, config, faults)
    if table is not None and not len(table) and len(faults) == before:
        faults.add("the file has no rows", Place(name), "give a file with rows")
        return None
    return table


def _decode(raw: bytes, name: str, faults: Faults) -> str | None:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        for number, line in enumerate(raw.split(b"\n"), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                faults.add(
                    f"not valid UTF-8 (byte 0x{byte:02x})",
                    Place(name, number, error.start + 1),
                    "save the file as UTF-8, for example: iconv -f ISO-8859-1 -t UTF-8",
                    kind=f"lines of {name} that are not valid UTF-8",
                )
        return None


# --- Formats -----------------------------------------------------------------


def _read_csv(
    raw: bytes, name: str, config: DataConfig, faults: Faults, tab: bool = False
) -> Table | None:
    text = _decode(raw, name, faults)
    if text is None:
        return None
    csv.field_size_limit(sys.maxsize)
    quoted = config.quoting == "standard" or (config.quoting == "auto" and not tab)
    delimiter = "\t" if tab else _delimiter(text)
    notes = [] if tab or delimiter == "," else [f"columns are separated by {delimiter!r}"]
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        header = next(reader)
    except csv.Error as error:
        faults.add(
            f"the header is broken: {error}", Place(name, 1), "close or double the quotation marks"
        )
        return None
    if not header:
        faults.add("the first line is blank", Place(name, 1), "begin with the names of the columns")
        return None
    for position, column in enumerate(header):
        if column in header[:position]:
            faults.add(
                f"the column '{column}' occurs twice in the header",
                Place(name, 1, position + 1),
                "rename one of them",
            )
    columns: dict[str, list[Any]] = {column: [] for column in header}
    starts: list[int] = []
    start = reader.line_num + 1
    try:
        for row in reader:
            if row and len(row) == len(header):
                starts.append(start)
                for column, cell in zip(header, row, strict=True):
                    columns[column].append(cell)
            elif row:
                faults.add(
                    f"{len(row)} cells where the header has {len(header)}",
                    Place(name, start, min(len(row), len(header)) + 1),
                    "quote cells that contain the separator" if quoted else "remove stray tabs",
                    kind=f"rows of {name} with a wrong number of cells",
                )
            start = reader.line_num + 1
    except csv.Error as error:
        faults.add(
            f"broken from here on: {error}",
            Place(name, start),
            "close or double the quotation marks",
        )
    if len(set(header)) != len(header):
        return None
    return Table(name, columns, starts, tuple(notes))


def _read_tsv(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    return _read_csv(raw, name, config, faults, tab=True)


def _delimiter(text: str) -> str:
    """The separator that gives the header the most columns; a comma when none does."""
    header = text.replace("\r", "\n").split("\n", 1)[0]
    counts = {mark: len(next(csv.reader([header], delimiter=mark))) for mark in ",;\t|"}
    return max(counts, key=lambda mark: (counts[mark], mark == ","))


def _read_json(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    text = _decode(raw, name, faults)
    if text is None:
        return None
    records = _array_records if text.lstrip().startswith("[") else _line_records
    columns: dict[str, list[Any]] = {}
    starts: list[int] = []
    for line, record in records(text, name, faults):
        if not isinstance(record, dict):
            faults.add(
                f"a record must be an object, not {type(record).__name__}",
                Place(name, line),
                'write {"text": …, "label": …}',
                kind=f"records of {name} that are not objects",
            )
            continue
        for column in record:
            if column not in columns:
                columns[column] = [None] * len(starts)
        for column, cells in columns.items():
            cells.append(record.get(column))
        starts.append(line)
    return Table(name, columns, starts)


def _line_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line)
        except json.JSONDecodeError as error:
            faults.add(
                f"broken JSON: {error.msg}",
                Place(name, number, error.colno),
                "mend or remove this line",
                kind=f"lines of broken JSON in {name}",
            )
        except RecursionError:
            faults.add("JSON nested too deep", Place(name, number), "mend or remove this line")


def _array_records(text: str, name: str, faults: Faults) -> Iterator[tuple[int, Any]]:
    """The records of a JSON array one by one, each with its line."""
    newlines = [i for i, character in enumerate(text) if character == "\n"]

    def line_of(position: int) -> int:
        return bisect.bisect_left(newlines, position) + 1

    def skip(position: int) -> int:
        while position < len(text) and text[position].isspace():
            position += 1
        return position

    decoder = json.JSONDecoder()
    position = skip(text.index("[") + 1)
    while position < len(text) and text[position] != "]":
        try:
            record, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            faults.add(
                f"broken JSON: {error.msg}",
                Place(name, error.lineno, error.colno),
                "mend the array here",
            )
            return
        except RecursionError:
            faults.add(
                "JSON nested too deep", Place(name, line_of(position)), "mend the array here"
            )
            return
        yield line_of(position), record
        position = skip(end)
        if position < len(text) and text[position] == ",":
            position = skip(position + 1)
        elif position >= len(text) or text[position] != "]":
            faults.add(
                "broken JSON: expecting ',' or ']'",
                Place(name, line_of(position)),
                "mend the array here",
            )
            return
    rest = skip(position + 1)
    if position >= len(text):
        faults.add(
            "broken JSON: the array does not end",
            Place(name, line_of(position)),
            "the file may be cut short; close it with ']'",
        )
    elif rest < len(text):
        faults.add(
            "broken JSON: there is more after the array",
            Place(name, line_of(rest)),
            "remove what follows the ']'",
        )


def _read_parquet(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        faults.add("reading Parquet needs pyarrow", Place(name), "pip install 'welltuned[data]'")
        return None
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(raw))
    except pyarrow.ArrowException as error:
        faults.add(
            f"not a Parquet file: {error}", Place(name), "write it again, or give CSV or JSON lines"
        )
        return None
    columns = table.to_pydict()
    for column, names in _names_of_classes(table.schema.metadata).items():
        columns[column] = [_named(cell, names) for cell in columns[column]]
    return Table(name, columns, list(range(1, table.num_rows + 1)))


def _names_of_classes(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """The names of class indices by column, as the `datasets` library leaves them in a file."""
    written = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    found: dict[str, list[str]] = {}
    for column, feature in written.get("info", {}).get("features", {}).items():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else {}
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel":
            found[column] = inner["names"]
    return found


def _read_conll(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    text = _decode(raw, name, faults)
    if text is None:
        return None
    return Table(name, *conll.parse(enumerate(text.split("\n"), 1), name, faults))


def _read_text(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Table | None:
    """The lines that are not blank. A task may read more into them."""
    text = _decode(raw, name, faults)
    if text is None:
        return None
    numbered = [pair for pair in enumerate(text.split("\n"), 1) if pair[1].strip()]
    lines = [line.rstrip("\r") for _, line in numbered]
    return Table(name, {"text": lines}, [number for number, _ in numbered])


_FORMATS: dict[str, Callable[[bytes, str, DataConfig, Faults], Table | None]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".parquet": _read_parquet,
    ".conll": _read_conll,
    ".iob": _read_conll,
    ".bio": _read_conll,
    ".txt": _read_text,
}


# --- The `datasets` library ---------------------------------------------------


def _readers_of_dataset(
    name: str, config: DataConfig, faults: Faults, local: bool
) -> dict[str, Callable[[], Table | None]]:
    try:
        import datasets
    except ImportError:
        what = (
            "a saved `datasets` folder"
            if local
            else f"'{name}', which is no file here and so taken for a hub data set,"
        )
        faults.add(
            f"reading {what} needs the datasets library",
            None,
            "pip install 'welltuned[data]', or check the path",
        )
        return {}
    try:
        loaded = (
            datasets.load_from_disk(name)
            if local
            else datasets.load_dataset(name, config.subset, revision=config.revision)
        )
    except (
        Exception
    ) as error:  # the library raises many kinds; each means that the data cannot be had
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        faults.add(
            f"the data set '{name}' cannot be loaded: {reason}",
            None,
            "check the spelling, the path and the network",
        )
        return {}
    if isinstance(loaded, datasets.Dataset):
        loaded = {"train": loaded}
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, names in _SPLIT_NAMES.items():
        for known in names:
            if known in loaded and split not in readers:
                readers[split] = lambda part=loaded[known], label=f"{name}[{known}]": _from_dataset(
                    part, label
                )  # type: ignore[misc]
    if not readers:
        faults.add(
            f"the data set '{name}' has no split named train, validation or test",
            None,
            f"it has: {', '.join(map(str, loaded))}",
        )
    return readers


def _from_dataset(part: Any, name: str) -> Table:
    """A split of a `datasets` data set; class indices become their names."""
    columns: dict[str, list[Any]] = {}
    for column, feature in part.features.items():
        cells = part[column][:]
        names = getattr(feature, "names", None)
        if names is None:  # a list of classes, such as the tags of a sentence's words
            names = getattr(getattr(feature, "feature", None), "names", None)
        columns[column] = [_named(cell, names) for cell in cells] if names else list(cells)
    return Table(name, columns, list(range(1, part.num_rows + 1)))


def _named(cell: Any, names: list[str]) -> Any:
    """A class index, or each of a list of them, by name."""
    if isinstance(cell, list):
        return [_named(item, names) for item in cell]
    return names[cell] if isinstance(cell, int) and 0 <= cell < len(names) else cell
