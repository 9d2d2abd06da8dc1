"""Row folder: hidden states of rows of tokens on disk, for other processes and later runs.

    FOLDER/FINGERPRINT/  rows.bin     states, one row's after the other's
                         index.bin    a record each: key, place, shape and checksum
                         lock         held by whoever writes

States are written before their record, so a record that is whole tells of states that are. What
does not agree with its checksum is not there. Files are read and not mapped: mapped pages would
count as memory of the process, and a file that is cut short under a mapping would end it.
"""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from math import inf
from pathlib import Path

import numpy as np
import torch

from welltuned.models.checksums import tensor_bytes
from welltuned.runs.locks import holding

_RECORD = np.dtype(
    [("key", "V16"), ("start", "<u8"), ("tokens", "<u4"), ("width", "<u4"), ("half", "<u4"),
     ("checksum", "<u4")]
)  # fmt: skip
_DTYPES = (torch.float32, torch.bfloat16)
LIMIT = 2 * 2**30
"""Bytes on disk of all frozen parts together."""
_A_WHILE = 60.0
"""Seconds after which a use is noted again."""


@dataclass
class _Index:
    """What this process has seen of the records of one frozen part."""

    file: int | None = None
    """The file that they were read from; another one of this name tells of other places."""
    read: int = 0
    """Bytes of it."""
    records: dict[bytes, np.void] = field(default_factory=dict)
    used: float = -inf
    """When its use was last noted."""


class RowFolder:
    """States (T, H) by the fingerprint of what computed them and the key of their row.

    Any method may raise `OSError`: the folder is full, read-only or gone.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._indexes: dict[str, _Index] = {}

    def find(self, fingerprint: str, keys: Collection[bytes]) -> dict[bytes, torch.Tensor]:
        """Those of the rows that are here, whoever wrote them."""
        records = self._records(fingerprint)
        wanted = {key: records[key] for key in keys if key in records}
        found = {}
        if wanted:
            self._note_use(fingerprint)
            with (self._folder / fingerprint / "rows.bin").open("rb", buffering=0) as file:
                for key, record in wanted.items():
                    states = _states(file, record)
                    if states is not None:
                        found[key] = states
                    else:
                        del records[key]  # so that it is written anew
        return found

    def keep(self, fingerprint: str, rows: Mapping[bytes, torch.Tensor]) -> None:
        """Add rows that are not here; whatever else there is makes room.

        What was used longest ago goes first.
        """
        rows = {key: row for key, row in rows.items() if row.dtype in _DTYPES}
        size = sum(row.nbytes for row in rows.values())
        folder = self._folder / fingerprint
        if not size or not self._make_room(fingerprint, size):
            return
        folder.mkdir(parents=True, exist_ok=True)
        with holding(folder / "lock"):
            known = self._records(fingerprint)  # others may have come first
            _append(folder, {key: row for key, row in rows.items() if key not in known})
        self._note_use(fingerprint)

    def _records(self, fingerprint: str) -> dict[bytes, np.void]:
        """The records, with those that others have added since."""
        file = self._folder / fingerprint / "index.bin"
        index = self._indexes.setdefault(fingerprint, _Index())
        number, size = _status(file)
        if number is not None and number != index.file:
            index.file, index.read = number, 0
            index.records.clear()
        if size - index.read >= _RECORD.itemsize:
            with file.open("rb") as opened:
                opened.seek(index.read)
                content = opened.read()
            content = content[: len(content) // _RECORD.itemsize * _RECORD.itemsize]
            for record in np.frombuffer(content, dtype=_RECORD):
                index.records[record["key"].tobytes()] = record
            index.read += len(content)
        return index.records

    def _note_use(self, fingerprint: str) -> None:
        """For whoever makes room: the day of its folder is that of its last use."""
        index, now = self._indexes[fingerprint], time.monotonic()
        if now - index.used > _A_WHILE:
            index.used = now
            with suppress(OSError):  # where nobody may write, nobody makes room either
                os.utime(self._folder / fingerprint)

    def _make_room(self, fingerprint: str, size: int) -> bool:
        """Whether there is room for so many bytes, once other frozen parts have made it."""
        parts = {part: _size(part / "rows.bin") for part in self._folder.glob("*") if part.is_dir()}
        own = self._folder / fingerprint
        for part in sorted(parts, key=_used):
            if sum(parts.values()) + size <= self._limit:
                break
            if part != own:
                shutil.rmtree(part, ignore_errors=True)
                del parts[part]
        return sum(parts.values()) + size <= self._limit


def _append(folder: Path, rows: Mapping[bytes, torch.Tensor]) -> None:
    """Write rows behind those that are there; the lock is held."""
    start = _size(folder / "rows.bin")
    records = np.zeros(len(rows), dtype=_RECORD)
    with (folder / "rows.bin").open("ab") as file:
        for i, (key, row) in enumerate(rows.items()):
            content = tensor_bytes(row)
            told = start, *row.shape, _DTYPES.index(row.dtype), zlib.crc32(content)
            records[i] = (key, *told)
            start += file.write(content)
    whole = _size(folder / "index.bin") // _RECORD.itemsize * _RECORD.itemsize
    with (folder / "index.bin").open("ab") as file:
        file.truncate(whole)  # what a writer that died has left of a record
        file.write(records.tobytes())


def _status(file: Path) -> tuple[int | None, int]:
    """The number that tells a file from others of its name, and its size."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None, 0
    return status.st_ino, status.st_size


def _used(part: Path) -> float:
    try:
        return part.stat().st_mtime
    except FileNotFoundError:  # another process has made room with it
        return -inf


def _size(file: Path) -> int:
    return _status(file)[1]


def _states(file: FileIO, record: np.void) -> torch.Tensor | None:
    """The states that a record tells of; None where they are not what was written."""
    dtype = _DTYPES[int(record["half"]) % len(_DTYPES)]
    shape = int(record["tokens"]), int(record["width"])
    content = bytearray(shape[0] * shape[1] * dtype.itemsize)
    file.seek(int(record["start"]))
    read = file.readinto(content)
    if read != len(content) or zlib.crc32(content) != int(record["checksum"]) or not content:
        return None
    return torch.frombuffer(content, dtype=dtype).view(shape)
