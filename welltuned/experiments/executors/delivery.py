"""Delivery: files that a request names, taken to another machine by the hash of their contents.

They lie there at the paths they have here, so that a config means the same. What is there already,
as on a shared file system, is left as it is.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from welltuned.errors import Fault, InputError, Place

_OUTPUTS = ("output_dir", "folder", "command")
"""Keys under which a request names no input."""


def named_paths(request: object) -> Iterator[Path]:
    """The files and folders here that a request names, by whatever key."""
    if isinstance(request, Mapping):
        for key, value in request.items():
            if key not in _OUTPUTS:
                yield from named_paths(value)
    elif isinstance(request, (list, tuple)):
        for value in request:
            yield from named_paths(value)
    elif isinstance(request, str) and (os.sep in request or Path(request).suffix):
        path = Path(request).expanduser()
        if len(request) < 4096 and path.exists():
            yield path.absolute()


def content_hash(path: Path) -> str | None:
    """A hash of a file, or of a folder's files with their names; None where there is nothing."""
    if not path.exists():
        return None
    digest = hashlib.sha256()
    for file in _files(path):
        digest.update(f"{file.relative_to(path).as_posix()}\n{file.stat().st_size}\n".encode())
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def archived(path: Path) -> bytes:
    """A file or folder as one archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in _files(path):
            archive.add(file, file.relative_to(path).as_posix())
    return buffer.getvalue()


def unarchive(content: bytes, path: Path) -> None:
    """Put it where it belongs. Raises `InputError` where nothing can be written."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        try:
            if archive.getnames() == ["."]:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = archive.extractfile(".")
                assert file is not None
                path.write_bytes(file.read())
            else:
                path.mkdir(parents=True, exist_ok=True)
                archive.extractall(path, filter="data")
        except OSError as error:
            raise InputError(
                Fault(
                    "executor.undeliverable",
                    "a machine that runs cells cannot write {path}: {error}",
                    Place(str(path)),
                    "let it write there, or put the files on a file system that all machines share",
                    path=str(path),
                    error=error,
                )
            ) from error


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
