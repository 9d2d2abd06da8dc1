"""Converted models: plain folders in the user's cache, made once for all processes.

    CACHE/gguf/KEY/  model/         config, weights as safetensors, tokenizer, chat template
                     SHA256SUMS     of all files
    CACHE/gguf/KEY.lock             held by whoever converts

The key is a hash of the GGUF file's content and of what converts it. A folder gets its name when it
is whole, and each process that opens it reads its hashes first: what is not as it was written is
converted anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from welltuned.errors import Fault, InputError, Place
from welltuned.models.checksums import SUMS, check_sums, file_digest, write_sums
from welltuned.models.gguf.header import GgufHeader, read_gguf_header
from welltuned.models.gguf.tensors import check_tensors
from welltuned.runs.disk import fault_of_disk
from welltuned.runs.locks import holding
from welltuned.runs.phases import phase
from welltuned.runs.user_cache import cache_folder
from welltuned.schema.messages import Message, message, render_message
from welltuned.schema.units import duration_text, size_text

_CONVERTER = 1
"""Changes with what is made of a file."""
_MODEL = "model"
_ALWAYS = ("config.json", "tokenizer.json")
LIMIT = 40 * 2**30
"""Bytes on disk of all converted models together; one that is larger is kept alone."""
_IN_USE = 24 * 3600.0
"""Seconds after its last use in which a model is not removed: a run may need it again."""
_OPENED: dict[tuple[object, ...], Path] = {}
"""What this process has opened, and found to be whole."""
_DIGESTS: dict[tuple[object, ...], str] = {}


def converted_folder(file: Path) -> Path:
    """The plain folder of a GGUF file's model, converted where nobody has yet.

    Raises `InputError` for a file that cannot be read, before any of its weights is, and where the
    cache has no room.
    """
    known = *_identity(file), cache_folder()
    if known in _OPENED and _OPENED[known].is_dir():
        return _OPENED[known]
    home = cache_folder() / "gguf" / _key(gguf_digest(file))
    if not _is_whole(home):
        header = read_gguf_header(file)
        check_tensors(file, header)
        with phase("convert"), _storing(home, 4 * header.elements), holding(_lock(home)):
            if not _is_whole(home):  # another process may have come first
                _convert(file, header, home)
    with suppress(OSError):  # where nobody may write, nobody makes room either
        os.utime(home)
    _OPENED[known] = home / _MODEL
    return home / _MODEL


def gguf_digest(file: Path) -> str:
    """The SHA-256 of a file, read once in each process."""
    known = _identity(file)
    if known not in _DIGESTS:
        _DIGESTS[known] = file_digest(file)
    return _DIGESTS[known]


def _identity(file: Path) -> tuple[object, ...]:
    status = file.stat()
    return file.resolve(), status.st_ino, status.st_size, status.st_mtime_ns


def _key(digest: str) -> str:
    libraries = [(name, metadata.version(name)) for name in ("transformers", "tokenizers")]
    made_by = hashlib.sha256(repr((_CONVERTER, libraries)).encode()).hexdigest()
    return f"{digest[:32]}-{made_by[:8]}"


def _lock(home: Path) -> Path:
    return home.with_name(f"{home.name}.lock")


def _is_whole(home: Path) -> bool:
    """Whether a model is there, and as it was written; if not, that is said."""
    if not (home / SUMS).is_file():
        return False
    hashed = (home / SUMS).read_text(encoding="utf-8", errors="replace")
    if not all(f"  {_MODEL}/{name}\n" in hashed for name in _ALWAYS):
        return False  # a power cut has left less of it than was written
    try:
        check_sums(home)
    except InputError as error:
        place = error.faults[0].place
        _tell(
            message(
                "model.gguf_converted_anew",
                "{file} in the cache is not as it was written; the model is converted anew",
                file=place.source if place else str(home),
            )
        )
        return False
    return True


def _convert(file: Path, header: GgufHeader, home: Path) -> None:
    """Into a folder beside, which then takes the name; the lock is held."""
    from welltuned.models.gguf.conversion import convert_gguf

    needed, began = 4 * header.elements, time.monotonic()
    _make_room(home, needed)
    _tell(
        message(
            "model.gguf_converting",
            "converting {file} once, into {folder}: {tensors} tensors, {size}",
            file=file.name,
            folder=str(home / _MODEL),
            tensors=len(header.tensors),
            size=size_text(needed),
        )
    )
    half = home.with_name(f"{home.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # of a process that has died
    try:
        notes = convert_gguf(file, header, half / _MODEL)
        write_sums(half, without=SUMS)
        shutil.rmtree(home, ignore_errors=True)
        half.rename(home)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    for note in notes:
        _tell(note)
    took = duration_text(time.monotonic() - began)
    _tell(message("model.gguf_converted", "converted {file} in {took}", file=file.name, took=took))


def _tell(said: Message) -> None:
    logging.getLogger(__name__).warning(render_message(said))


# --- Its place -------------------------------------------------------------------------


@contextmanager
def _storing(home: Path, needed: int) -> Iterator[None]:
    """Raises `InputError` where the cache cannot be written."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        yield
    except Exception as error:  # a full disk is an error of its own in every library that writes
        if (fault := fault_of_disk(error, home)) is None:
            raise
        raise InputError(
            Fault(
                "model.gguf_not_kept",
                "there is no place for the converted model, which takes {needed}: {reason}",
                Place(str(home.parent)),
                "make room there, or set WELLTUNED_CACHE to a folder on another disk",
                needed=size_text(needed),
                reason=fault.what,
            )
        ) from error


def _make_room(home: Path, needed: int) -> None:
    """Remove what was used longest ago, as far as the limit asks for it."""
    others = {one: _size(one) for one in home.parent.iterdir() if one.is_dir() and one != home}
    for one in sorted(others, key=_used):
        if sum(others.values()) + needed <= LIMIT:
            break
        if time.time() - _used(one) > _IN_USE:
            shutil.rmtree(one, ignore_errors=True)
            del others[one]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # another process has made room with it
        return 0.0
