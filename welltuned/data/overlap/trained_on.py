"""Which texts a model was trained on, as hashes beside it: evaluation on these says little.

A hash is of a record's inputs in NFC and with white space evened out, 64 bits each, so that among a
million texts another one is taken for a known one with a chance of one in 10^13.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from welltuned.data.records import Records

TRAINED_ON = "trained_on.npy"
"""The file in a run's folder."""


def text_hashes(records: Records) -> np.ndarray:
    """The hash of each record's inputs (N, uint64)."""
    columns = [records[role] for role in sorted(records.input_roles)]
    hashes = b"".join(map(_hash, zip(*columns, strict=True)))
    return np.frombuffer(hashes, dtype="<u8").astype(np.uint64)


def write_trained_on(records: Records, folder: Path) -> None:
    """Note the texts that a run trains on, in its folder."""
    draft = folder / f".{TRAINED_ON}.new"
    with draft.open("wb") as file:
        np.save(file, np.unique(text_hashes(records)))
    draft.replace(folder / TRAINED_ON)


def count_trained_on(records: Records, folder: Path) -> int | None:
    """How many of the records a run was trained on; None where its folder does not say."""
    trained_on = were_trained_on(records, folder)
    return None if trained_on is None else int(trained_on.sum())


def were_trained_on(records: Records, folder: Path) -> np.ndarray | None:
    """Which of the records (N, bool) a run was trained on; None where its folder does not say."""
    try:
        known = np.load(folder / TRAINED_ON, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return np.asarray(np.isin(text_hashes(records), known))


def _hash(cells: Iterable[str | Sequence[str]]) -> bytes:
    texts = [cell if isinstance(cell, str) else " ".join(cell) for cell in cells]
    evened = "\x1f".join([" ".join(unicodedata.normalize("NFC", text).split()) for text in texts])
    return hashlib.blake2b(evened.encode(), digest_size=8).digest()
