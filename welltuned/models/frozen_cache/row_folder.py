"""Row folder: hidden states of rows of tokens on disk, for other processes and later runs.

    FOLDER/FINGERPRINT/  rows.bin     states, one row's after the other's
                         index.bin    a record each: key, place, shape and checksum
                         lock         held by whoever writes

States are written before their record, so a record that is whole tells of states that are. What
does not agree with its checksum is not there.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch

from welltuned.models.loading import tensor_bytes
from welltuned.runs.locks import holding

_RECORD = np.dtype(
    [("key", "V16"), ("start", "<u8"), ("tokens", "<u4"), ("width", "<u4"), ("half", "<u4"),
     ("checksum", "<u4")]
)  # fmt: skip
_DTYPES = (torch.float32, torch.bfloat16)
LIMIT = 2 * 2**30
"""Bytes on disk of all frozen parts together."""


class RowFolder:
    """States (T, H) by the fingerprint of what computed them and the key of their row.

    Any method may raise `OSError`: the folder is full, read-only or gone.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder
        self._limit = limit
        self._records: dict[str, dict[bytes, np.void]] = {}
        self._read: dict[str, int] = {}

    def find(self, fingerprint: str, keys: Collection[bytes]) -> dict[bytes, torch.Tensor]:
        """Those of the rows that are here, whoever wrote them."""
        records = self._index(fingerprint)
        wanted = {key: records[key] for key in keys if key in records}
        found = {}
        if wanted:
            with (self._folder / fingerprint / "rows.bin").open("rb") as file:
                for key, record in wanted.items():
                    states = _states(file.fileno(), record)
                    if states is not None:
                        found[key] = states
        return found

    def keep(self, fingerprint: str, rows: dict[bytes, torch.Tensor]) -> None:
        """Add rows; whatever else there is makes room, the oldest first."""
        kept = {key: row for key, row in rows.items() if row.dtype in _DTYPES}
        content = {key: bytes(tensor_bytes(row)) for key, row in kept.items()}
        size = sum(map(len, content.values()))
        folder = self._folder / fingerprint
        if not size or not self._make_room(fingerprint, size):
            return
        folder.mkdir(parents=True, exist_ok=True)
        with holding(folder / "lock"):
            start = _size(folder / "rows.bin")
            with (folder / "rows.bin").open("ab") as file:
                file.write(b"".join(content.values()))
            records = np.zeros(len(kept), dtype=_RECORD)
            for i, (key, row) in enumerate(kept.items()):
                told = start, *row.shape, _DTYPES.index(row.dtype), zlib.crc32(content[key])
                records[i] = (key, *told)
                start += len(content[key])
            whole = _size(folder / "index.bin") // _RECORD.itemsize * _RECORD.itemsize
            with (folder / "index.bin").open("ab") as file:
                file.truncate(whole)  # what a writer that died has left of a record
                file.write(records.tobytes())

    def _index(self, fingerprint: str) -> dict[bytes, np.void]:
        """The records, with those that others have added since."""
        file = self._folder / fingerprint / "index.bin"
        records = self._records.setdefault(fingerprint, {})
        done = self._read.get(fingerprint, 0)
        if _size(file) - done >= _RECORD.itemsize:
            content = file.read_bytes()[done:]
            content = content[: len(content) // _RECORD.itemsize * _RECORD.itemsize]
            for record in np.frombuffer(content, dtype=_RECORD):
                records[record["key"].tobytes()] = record
            self._read[fingerprint] = done + len(content)
        return records

    def _make_room(self, fingerprint: str, size: int) -> bool:
        """Whether there is room for so many bytes, once older frozen parts have made it."""
        parts = {part: _size(part / "rows.bin") for part in self._folder.glob("*") if part.is_dir()}
        own = self._folder / fingerprint
        for part in sorted(parts, key=lambda part: part.stat().st_mtime):
            if sum(parts.values()) + size <= self._limit:
                break
            if part != own:
                shutil.rmtree(part, ignore_errors=True)
                del parts[part]
        return sum(parts.values()) + size <= self._limit


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _states(file: int, record: np.void) -> torch.Tensor | None:
    """The states that a record tells of; None where they are not what was written."""
    dtype = _DTYPES[int(record["half"]) % len(_DTYPES)]
    shape = int(record["tokens"]), int(record["width"])
    content = os.pread(file, shape[0] * shape[1] * dtype.itemsize, int(record["start"]))
    if zlib.crc32(content) != int(record["checksum"]) or not content:
        return None
    return torch.frombuffer(bytearray(content), dtype=dtype).view(shape)
