"""The files that leave the machine: each with its size, and none with a secret in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from welltuned.artifact.manifest import CARD
from welltuned.errors import Fault, Faults, Place
from welltuned.schema.messages import Message, message
from welltuned.schema.secrets import secret_lines

_SAMPLE = 8192
"""Bytes by which a text is told from anything else: no text has a zero among them."""


@dataclass(frozen=True)
class Upload:
    """A file of the repository."""

    name: str
    """Its path there."""
    content: Path | bytes
    """The file here, or what is written into it."""

    @property
    def size(self) -> int:
        """In bytes."""
        if isinstance(self.content, bytes):
            return len(self.content)
        return self.content.stat().st_size

    @property
    def text(self) -> str | None:
        """What it says; None where it is no text."""
        if isinstance(self.content, Path):
            with self.content.open("rb") as file:
                if b"\0" in file.read(_SAMPLE):
                    return None
            content = self.content.read_bytes()
        else:
            content = self.content
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None


def uploads_of(folder: Path, card: str) -> list[Upload]:
    """Every file of a folder, in order of name, with `card` in place of its own.

    Raises `InputError` for what must not leave: secrets, links, and hidden files.
    """
    faults = Faults()
    files = sorted(file for file in folder.rglob("*") if file.is_symlink() or file.is_file())
    found = [Upload(CARD, card.encode())]
    for file in files:
        name = file.relative_to(folder).as_posix()
        if (fault := _fault_of(file, name)) is not None:
            faults.extend([fault])
        elif name != CARD:
            found.append(Upload(name, file))
    for upload in found:
        faults.extend(_secrets_in(upload, folder))
    faults.raise_if_any()
    return sorted(found, key=lambda one: one.name)


def _fault_of(file: Path, name: str) -> Fault | None:
    if file.is_symlink():
        return Fault(
            "hub.link",
            "the file is a link, and may lead out of the folder",
            Place(str(file)),
            "put a copy of what it leads to in its place",
        )
    if any(part.startswith(".") for part in Path(name).parts):
        return Fault(
            "hub.hidden_file",
            "the file is hidden, and so nobody may know that it would be published",
            Place(str(file)),
            "move it away, or give it a name without a dot before it",
        )
    return None


def _secrets_in(upload: Upload, folder: Path) -> Iterator[Fault]:
    text = upload.text
    for line in secret_lines(text) if text is not None else ():
        yield Fault(
            "hub.secret",
            "the line holds what looks like a token, a key or a password",
            Place(str(folder / upload.name), line),
            "take it out and revoke it; then save, or export, the model again",
        )


def local_names(uploads: Sequence[Upload], names: Sequence[str]) -> list[Message]:
    """Where files tell of folders of this machine: the first line of each."""
    # Where a home is `/`, as of some services, its name would stand in every file; and what goes on
    # behind a name is another one's: /home/me is not told of in /home/melanie.
    folders = [re.escape(name.rstrip("/")) for name in names if len(Path(name).parts) > 1]
    if not folders:
        return []
    named = re.compile(rf"(?:{'|'.join(folders)})(?![\w-])")
    told = []
    for upload in uploads:
        text = upload.text or ""
        if (first := named.search(text)) is not None:
            told.append(
                message(
                    "hub.names_local_folder",
                    "{file}, line {line}, names a folder of this machine: {folder}.",
                    file=upload.name,
                    line=text.count("\n", 0, first.start()) + 1,
                    folder=first[0],
                )
            )
    return told
