"""Writing to disk: what cannot be written is a fault with numbers, and no half of it stays."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from welltuned.errors import Fault, InputError, Place, RunFailed
from welltuned.schema.units import size_text

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
"""No room: on the disk, under the limit of file sizes, in the user's quota."""
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EIO}
"""No permission, no folder where one should be, or a broken disk."""
_NUMBERED = re.compile(r"\(os error (\d+)\)")
"""How safetensors, which is Rust, tells what the system said."""


@contextmanager
def writing(target: Path, needed: int | None = None, half: Path | None = None) -> Iterator[None]:
    """Write `target`, which takes `needed` bytes, by way of `half`, which is removed on failure.

    Raises `RunFailed` where there is no room or no permission. Other errors pass.
    """
    try:
        yield
    except Exception as error:  # a full disk is an error of its own in every library that writes
        if half is not None:
            _remove(half)
        if (fault := fault_of_disk(error, target, needed)) is None:
            raise
        raise RunFailed(fault) from error


def fault_of_disk(error: Exception, target: Path, needed: int | None = None) -> Fault | None:
    """What an error says of the disk, if anything, while `target` was written."""
    if (full := fault_of_full_disk(error, target, needed)) is not None:
        return full
    number = _error_number(error)
    return _refused(target, os.strerror(number)) if number in _REFUSED else None


def fault_of_full_disk(error: Exception, target: Path, needed: int | None = None) -> Fault | None:
    """The same, for an error that may be of a file that was read."""
    number = _error_number(error)
    return _no_room(target, needed, os.strerror(number)) if number in _FULL else None


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. Raises `InputError` where nothing can be written."""
    fault = why_unwritable(folder)
    if fault is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return
        except OSError as error:
            fault = _not_made(folder, str(error.strerror))
    raise InputError(fault)


def why_unwritable(folder: Path) -> Fault | None:
    """Why a folder cannot be made or written into, as far as looking tells."""
    there = nearest_that_exists(folder)
    if not there.is_dir():
        return _not_made(folder, f"{there} is a file")
    if not os.access(there, os.W_OK):
        return Fault(
            "run.folder_not_writable",
            "no permission to write here",
            Place(str(there)),
            "choose another output_dir",
        )
    return None


def nearest_that_exists(folder: Path) -> Path:
    """The folder, or the first one above it that is there."""
    return next(path for path in (folder, *folder.parents, Path(".")) if path.exists())


def _error_number(error: BaseException) -> int:
    """What the system said, in whatever kind of error a library tells it; 0 where it did not."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _NUMBERED.search(str(error))
    return int(found.group(1)) if found else 0


def _remove(half: Path) -> None:
    if half.is_dir():
        shutil.rmtree(half, ignore_errors=True)
    with suppress(OSError):
        half.unlink(missing_ok=True)


def _no_room(target: Path, needed: int | None, reason: str) -> Fault:
    folder = nearest_that_exists(target.parent)
    return Fault(
        "run.disk_full",
        "no room to write {name}: {free} is free, and it takes {needed} ({reason})",
        Place(str(folder)),
        "delete what is no longer needed, such as checkpoints/ of finished runs "
        "(`welltuned runs` lists them), or choose an output_dir on another disk",
        name=target.name,
        needed="more" if needed is None else size_text(needed),
        free=size_text(shutil.disk_usage(folder).free),
        reason=reason,
    )


def require_free(target: Path) -> None:
    """Raise `InputError` where there is something that a whole folder would overwrite."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            Fault(
                "export.target_in_use",
                "the target is a file, or a folder that is not empty",
                Place(str(target)),
                "choose another; nothing is ever overwritten",
            )
        )


def _not_made(folder: Path, reason: str) -> Fault:
    return Fault(
        "run.folder_not_made",
        "the output folder cannot be made: {reason}",
        Place(str(folder)),
        "choose another output_dir",
        reason=reason,
    )


def _refused(target: Path, reason: str) -> Fault:
    return Fault(
        "run.not_writable",
        "{name} cannot be written: {reason}",
        Place(str(target.parent)),
        "make the folder writable, or choose another output_dir",
        name=target.name,
        reason=reason,
    )
