"""What answers are made from, by hashes: the input, the model, and how the input is read.

`answers.csv.origin.json` stands beside `answers.csv`. A file is gone on with, and taken for
finished, where all of these are the same; where one is not, it is left as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import welltuned
from welltuned.artifact.manifest import find_artifact
from welltuned.data.config import DataConfig
from welltuned.errors import Faults, Place
from welltuned.models.checksums import SUMS
from welltuned.runs.export_schema import EXPORT_FILE, is_export
from welltuned.runs.folder import MANIFEST, write_json
from welltuned.schema.differences import differences
from welltuned.schema.versions import ANSWERS

_SHORT = 12
"""Letters of a hash that are shown."""


@dataclass(frozen=True)
class MadeFrom:
    """What a file of answers is made from."""

    input: str
    """The file, or whatever else was named."""
    model: str
    hashes: Mapping[str, Any]

    @classmethod
    def of(cls, model: str, data: DataConfig) -> MadeFrom:
        """Raises `InputError` where there is no such model."""
        hashes = {
            "input": _hash_of_input(data.train),
            "model": _hash_of_model(model),
            "options": data.model_dump(mode="json", exclude={"train"}, exclude_defaults=True),
            "welltuned": welltuned.__version__,
        }
        return cls(data.train, model, json.loads(json.dumps(hashes)))

    def write(self, beside: Path, finished: bool) -> None:
        """Say so, and whether the answers are all there."""
        told = {"input": self.input, "model": self.model, "hashes": self.hashes}
        write_json(beside, ANSWERS.stamp({**told, "finished": finished}))

    def require_same(self, written: Mapping[str, Any], target: Path) -> None:
        """Raise `InputError` with all that differs from what the answers in `target` came from."""
        faults = Faults()
        for key, (was, now) in differences(written.get("hashes", {}), dict(self.hashes)).items():
            faults.add(
                "predict.out_of_another",
                "the answers in this file were made from something else: {key} was {was} and is "
                "{now}",
                Place(str(target)),
                "give another out=, or move this file away",
                key=key,
                was=_shown(was),
                now=_shown(now),
            )
        faults.raise_if_any()


def _shown(value: object) -> str:
    is_hash = isinstance(value, str) and len(value) == 64
    return str(value)[:_SHORT] + "…" if is_hash else json.dumps(value, ensure_ascii=False)


def _hash_of_input(name: str) -> str:
    """Of a file or of a folder's files; a data set that is neither is known by its name."""
    path = Path(name).expanduser()
    if path.is_file():
        return _hash_of_file(path)
    if path.is_dir():
        return _hash_of_files((file for file in path.rglob("*") if file.is_file()), path)
    return name


def _hash_of_model(model: str) -> str:
    """Of what holds the hashes of its files, and of its decision rule; of old ones, of all files.

    That the files are as these say is checked when the model is loaded.
    """
    folder = Path(model).expanduser()
    if not is_export(folder):
        folder = find_artifact(model)
    if not any((folder / name).is_file() for name in (EXPORT_FILE, SUMS)):
        return _hash_of_files((file for file in folder.rglob("*") if file.is_file()), folder)
    named = (folder / name for name in (EXPORT_FILE, SUMS, MANIFEST))
    return _hash_of_files((file for file in named if file.is_file()), folder)


def _hash_of_files(files: Iterable[Path], folder: Path) -> str:
    """One hash of several files, by their names within the folder."""
    lines = [f"{_hash_of_file(file)}  {file.relative_to(folder).as_posix()}\n" for file in files]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _hash_of_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
