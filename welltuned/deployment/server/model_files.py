"""The files of a model that is served: whether they are still those that were loaded."""

from __future__ import annotations

import time
from pathlib import Path

from welltuned.artifact.manifest import CARD, find_artifact
from welltuned.runs.export_schema import is_export

_FRESH = 1.0
"""Seconds for which what was found is not looked for again."""

Stamp = tuple[int, int, int]
"""When a file was changed, its size, and which file it is."""


def model_folder(path: str) -> Path:
    """Where the model of a run lies, of a model folder, or of an exported one.

    Raises `InputError` where there is none.
    """
    folder = Path(path).expanduser()
    return folder if is_export(folder) else find_artifact(folder)


def served_name(path: str) -> str:
    """What a model is called by those who ask for it: as its run or its folder."""
    folder = Path(path).expanduser().resolve()
    return folder.parent.name if folder.name == "model" and folder.parent.name else folder.name


class ModelFiles:
    """A model's files as they were when it was loaded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded = _stamps(folder)
        self._found: tuple[float, tuple[str, ...]] = (0.0, ())

    def changed(self) -> tuple[str, ...]:
        """The names of files that were changed, removed or added since."""
        now = time.monotonic()
        if now - self._found[0] > _FRESH:
            stamps = _stamps(self._folder)
            names = sorted(stamps.keys() | self._loaded.keys())
            different = [name for name in names if stamps.get(name) != self._loaded.get(name)]
            self._found = now, tuple(different)
        return self._found[1]


def _stamps(folder: Path) -> dict[str, Stamp]:
    """By name; of all files but the card, which people may edit."""
    stamps: dict[str, Stamp] = {}
    for file in folder.rglob("*"):
        try:
            state = file.stat()
        except OSError:  # gone between the two looks
            continue
        if file.is_file() and file.name != CARD:
            stamp = state.st_mtime_ns, state.st_size, state.st_ino
            stamps[file.relative_to(folder).as_posix()] = stamp
    return stamps
