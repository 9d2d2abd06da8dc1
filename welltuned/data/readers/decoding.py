"""Decoding: bytes of a file as text, with the line and column of every byte that is not UTF-8."""

from __future__ import annotations

from welltuned.errors import Faults, Place


def decode(raw: bytes, name: str, faults: Faults) -> str | None:
    """The text of a file in UTF-8, with or without a byte-order mark; None where it is not."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        for number, line in enumerate(raw.split(b"\n"), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = line[error.start]
                faults.add_counted(
                    "data.not_utf8",
                    "not valid UTF-8 (byte 0x{byte:02x})",
                    Place(name, number, error.start + 1),
                    "save the file as UTF-8, for example: iconv -f ISO-8859-1 -t UTF-8",
                    byte=byte,
                )
        return None
