"""Data sources: files, folders, embedded sets and hub data sets, with a reader for each split.

A reader never guesses around damage. Every fault it meets is recorded with the
line and column where it stands, and reading goes on, so that all are shown.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from pathlib import Path

from welltuned.data.config import DataConfig
from welltuned.data.readers.formats import FORMATS, ReadPath, read_path
from welltuned.data.readers.hub import readers_of_dataset
from welltuned.data.table import SPLIT_NAMES, SPLITS, Table
from welltuned.errors import Faults, Place
from welltuned.schema.local_path import is_local_path


def name_of(data: str, generic: Collection[str] = SPLITS) -> str:
    """What people would call a source: its file's name, or its folder's where that is `generic`.

    Empty for a file of a generic name without a folder.
    """
    path = Path(data.removeprefix("demo:").removeprefix("hub:"))
    return path.parent.name if path.stem in generic else path.stem


def find_sources(
    config: DataConfig, faults: Faults, read: ReadPath = read_path
) -> dict[str, Callable[[], Table | None]]:
    """A reader for each split that exists; splits to be cut off the training data have none."""
    named = {"train": config.train, "validation": config.validation, "test": config.test}
    _refuse_hub_options(config, [name for name in named.values() if name is not None], faults)
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, name in named.items():
        if name is None:
            continue
        found = _readers_of(name, config, faults, read)
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


def read_file(
    name: str, config: DataConfig, faults: Faults, read: ReadPath = read_path
) -> Table | None:
    """Read one file (or the named thing's only split).

    None when it could not be read, with the faults recorded.
    """
    found = _readers_of(name, config, faults, read)
    reader = found.get("train") or next(iter(found.values()), None)
    return reader() if reader else None


def _readers_of(
    name: str, config: DataConfig, faults: Faults, read: ReadPath
) -> dict[str, Callable[[], Table | None]]:
    """Readers by split. A single file counts as `train`."""
    if name.startswith("demo:"):
        path = Path(__file__).parent / "demo" / f"{name.removeprefix('demo:')}.jsonl"
        if not path.exists():
            known = ", ".join(f"demo:{file.stem}" for file in sorted(path.parent.glob("*.jsonl")))
            faults.add(
                "data.demo_unknown",
                "no embedded data set '{name}'",
                None,
                "choose one of: {known}",
                name=name,
                known=known,
            )
            return {}
        return {"train": lambda: read(path, name, config, faults)}
    path = Path(name).expanduser()
    if path.is_dir():
        return _readers_of_folder(path, name, config, faults, read)
    if path.exists():
        return {"train": lambda: read(path, name, config, faults)}
    if _is_on_hub(name):
        return readers_of_dataset(name.removeprefix("hub:"), config, faults, local=False)
    faults.add(
        "data.file_missing",
        "no such data file",
        Place(name),
        "{remedy}",
        remedy=_nearest(path),
    )
    return {}


def _is_on_hub(name: str) -> bool:
    """Whether a name means a data set on the hub: it says so, or is no file and looks like none."""
    if name.startswith("demo:") or Path(name).expanduser().exists():
        return False
    return name.startswith("hub:") or not _is_missing_here(name)


def _refuse_hub_options(config: DataConfig, names: Collection[str], faults: Faults) -> None:
    """Options of hub data sets, which nothing else would heed."""
    asked = [option for option in ("subset", "revision", "streaming") if getattr(config, option)]
    if not asked or any(map(_is_on_hub, names)):
        return
    for option in asked:
        faults.add(
            "data.hub_option_of_files",
            "'data.{option}' is for data sets on the hub, and '{name}' is none",
            None,
            "remove it, or write the data set as hub:NAME",
            option=option,
            name=config.train,
        )


def _is_missing_here(name: str) -> bool:
    """Whether a name that is no file was meant to be one: the hub is not asked for it."""
    path = Path(name).expanduser()
    in_folder = len(path.parts) > 1 and path.parent.is_dir()
    return is_local_path(name) or bool(path.suffix) or in_folder or bool(_with_suffix(path))


def _with_suffix(path: Path) -> list[str]:
    """Data files of a name that was given without its suffix."""
    return [str(path) + suffix for suffix in FORMATS if Path(str(path) + suffix).is_file()]


def _nearest(path: Path) -> str:
    """How to mend a path: the files there whose names are close to it."""
    there = path.parent.iterdir() if path.parent.is_dir() else ()
    names = [file.name for file in there]
    close = _with_suffix(path) or [
        str(path.parent / name) for name in difflib.get_close_matches(path.name, names, n=3)
    ]
    meant = f"did you mean {' or '.join(close)}?" if close else "check the path;"
    return f"{meant} a data set on the hub is written hub:NAME"


def _readers_of_folder(
    path: Path, name: str, config: DataConfig, faults: Faults, read: ReadPath
) -> dict[str, Callable[[], Table | None]]:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return readers_of_dataset(str(path), config, faults, local=True)
    readers: dict[str, Callable[[], Table | None]] = {}
    for split, stems in SPLIT_NAMES.items():
        files = [
            file
            for stem in stems
            for file in sorted(path.glob(f"{stem}.*"))
            if file.suffix.lower() in FORMATS
        ]
        if len(files) > 1:
            faults.add(
                "data.folder_ambiguous",
                "the folder has several files for {split}: {files}",
                Place(name),
                "name one in data.{split}",
                split=split,
                files=", ".join(file.name for file in files),
            )
        elif files:
            readers[split] = lambda file=files[0]: read(file, str(file), config, faults)  # type: ignore[misc]
    if "train" not in readers:
        faults.add(
            "data.folder_without_train",
            "the folder has no train file",
            Place(name),
            "name it train{suffixes}, or give the file itself",
            suffixes="|".join(sorted(FORMATS)),
        )
    return readers
