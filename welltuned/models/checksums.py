"""Checksums: of the files of a model folder, and of weights.

The SHA-256 of every file stands in `SHA256SUMS`, as `sha256sum -c` reads it: a bit that flips on a
disk or on the way changes answers, and nothing else would show it.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from welltuned.errors import Fault, Faults, Place
from welltuned.schema.messages import message, render_message

if TYPE_CHECKING:
    import torch

SUMS = "SHA256SUMS"


def write_sums(folder: Path, without: str) -> None:
    """Hash every file that is there but one, which people may edit."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = [file.relative_to(folder).as_posix() for file in files]
    lines = [
        f"{file_digest(folder / name)}  {name}\n" for name in names if name not in (SUMS, without)
    ]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def check_sums(folder: Path) -> None:
    """Raise `InputError` with every file that is not as it was saved.

    A folder that has no hashes passes.
    """
    faults = Faults()
    faults.extend(_changed(folder))
    faults.raise_if_any()


@contextmanager
def checking_sums(folder: Path) -> Iterator[None]:
    """As `check_sums`, beside what is done meanwhile, and with a note where there are no hashes."""
    if not (folder / SUMS).exists():
        note = message(
            "artifact.without_hashes",
            "{folder} has no hashes ({file}), so nobody can "
            "tell whether its files are as they were saved",
            folder=str(folder),
            file=SUMS,
        )
        logging.getLogger(__name__).warning(render_message(note))
    with ThreadPoolExecutor(1) as beside:
        checked = beside.submit(check_sums, folder)
        yield
        checked.result()


def _changed(folder: Path) -> Iterator[Fault]:
    for name, digest in _written(folder / SUMS):
        file = folder / name
        try:
            same = _stays_inside(name) and file_digest(file) == digest
        except OSError:
            same = False
        if not same:
            yield Fault(
                "artifact.file_changed",
                "the file is not as it was saved: its SHA-256 is not the one in {sums}",
                Place(str(file)),
                "copy the folder again from where it is whole; if you changed the file yourself, "
                "put what `sha256sum` says of it into {sums}",
                sums=SUMS,
            )


def _written(sums: Path) -> list[tuple[str, str]]:
    """(name, digest) of each file; none where no hashes were written."""
    if not sums.exists():
        return []
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines()
    return [
        (name.lstrip(" *"), digest) for digest, _, name in (line.partition(" ") for line in lines)
    ]


def _stays_inside(name: str) -> bool:
    return not PurePath(name).is_absolute() and ".." not in PurePath(name).parts


def file_digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# --- Of weights ----------------------------------------------------------------


def weights_fingerprint(model: torch.nn.Module, without: Collection[str] = ()) -> str:
    """A hash of all weights and buffers but those named.

    Equal when they are the same, bit for bit.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        if name not in without:
            digest.update(name.encode())
            digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """The raw bytes of a tensor of any dtype."""
    import torch

    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
