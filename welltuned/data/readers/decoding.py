"""Decoding: bytes of a file as text, in the encoding that is given, marked or recognised."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from welltuned.data.config import DataConfig
from welltuned.data.readers.legacy_encodings import Ranked, rank_encodings
from welltuned.data.readings import Reading, question, read_as
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message

ENCODING = question(
    "encoding",
    asks="In which encoding is the file?",
    evidence="A byte-order mark; else valid UTF-8; else where the zero bytes of UTF-16 and UTF-32 "
    "stand; else the encoding in which the words hold the letters that people write, where it is "
    "20 times as likely as the next one. Asked for elsewhere.",
    key="data.encoding",
)
_MARKS = (  # UTF-32 first, for its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_SURE = 3.0
"""The log of how much likelier an encoding must be than the next one: 20 times."""
_LEAST = -5.0
"""The log-probability by byte below which the words of a file are no words."""

_OF_TEXT = 0.9
"""The share of a text's characters that must be neither controls nor unassigned."""


class Decoded(NamedTuple):
    """A file's text, and how its encoding was found where that needs to be said."""

    text: str
    readings: tuple[Reading, ...] = ()


def decode(raw: bytes, name: str, config: DataConfig, faults: Faults) -> Decoded | None:
    """The text of a file, without a byte-order mark; None where it cannot be had."""
    if config.encoding != "auto":
        return _decode_as(raw, config.encoding, name, faults)
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _decode_marked(raw, encoding, name, faults)
    wide = _find_wide(raw) if b"\0" in raw else None
    if wide is not None:
        return _say(raw.decode(wide), wide, _by_zeros, name)
    try:
        return Decoded(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return _recognise(raw, name, faults)


def _decode_marked(raw: bytes, encoding: str, name: str, faults: Faults) -> Decoded | None:
    decoded = _decode_as(raw, encoding, name, faults)
    if decoded is None or encoding == "utf-8-sig":
        return decoded
    return _say(decoded.text, encoding, _by_mark, name)


def _decode_as(raw: bytes, encoding: str, name: str, faults: Faults) -> Decoded | None:
    """The text in a known encoding; bytes that mean nothing there are faults."""
    utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    try:
        return Decoded(raw.decode("utf-8-sig" if utf8 else encoding).removeprefix("\ufeff"))
    except UnicodeError as error:  # some of them without a place
        if utf8:
            _refuse_utf8(raw, name, faults)
        else:
            faults.add(
                "data.not_in_encoding",
                "not valid {encoding}: {reason}",
                Place(name, raw[: getattr(error, "start", 0)].count(b"\n") + 1),
                "give another data.encoding, or leave it out to have it recognised",
                encoding=encoding,
                reason=getattr(error, "reason", error),
            )
        return None


def _refuse_utf8(raw: bytes, name: str, faults: Faults) -> None:
    """Record every line that is not UTF-8."""
    for number, line in enumerate(re.split(rb"\r?\n|\r", raw), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            faults.add_counted(
                "data.not_utf8",
                "not valid UTF-8 (byte 0x{byte:02x})",
                Place(name, number, error.start + 1),
                "fix the line, or say in which encoding the whole file is: data.encoding=NAME",
                byte=line[error.start],
            )


# --- Recognising -----------------------------------------------------------------


def _find_wide(raw: bytes) -> str | None:
    """UTF-16 or UTF-32 without a mark: the one that reads as text, and as the most ASCII."""
    found: dict[str, int] = {}
    for encoding in _WIDE:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and sum(map(_is_of_text, text)) >= _OF_TEXT * len(text):
            found[encoding] = sum(one < "\x80" for one in text)
    best = sorted(found, key=lambda encoding: -found[encoding])
    if not best or (len(best) > 1 and found[best[0]] <= 2 * found[best[1]]):
        return None
    return best[0]


def _is_of_text(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in ("Cc", "Cn", "Co", "Cs")


def _recognise(raw: bytes, name: str, faults: Faults) -> Decoded | None:
    """The text of a file that is not UTF-8; faults where the evidence is weak."""
    if _is_damaged_utf8(raw):
        _refuse_utf8(raw, name, faults)
        return None
    ranked = [one for one in rank_encodings(raw) if one.per_byte > _LEAST]
    if not ranked:
        faults.add(
            "data.encoding_unknown",
            "not UTF-8, nor text in any encoding that is recognised",
            Place(name),
            "save the file as UTF-8, or say in which encoding it is: data.encoding=NAME",
        )
        return None
    best, *others = ranked
    if others and best.score - others[0].score < _SURE:
        _ask(raw, ranked[:3], name, faults)
        return None
    return _say(raw.decode(best.encoding), best.encoding, _by_words, name)


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether most characters that are not ASCII are valid UTF-8, and a few bytes are not."""
    text = raw.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(one > "\x7f" for one in text) - broken > 2 * broken


def _ask(raw: bytes, ranked: list[Ranked], name: str, faults: Faults) -> None:
    number = next(n for n, line in enumerate(raw.split(b"\n"), 1) if not line.isascii())
    readings = "; ".join(
        f"{one.encoding}: {_sample(raw.decode(one.encoding))[1]!r}" for one in ranked
    )
    faults.add(
        "data.encoding_unclear",
        "not UTF-8, and several encodings are as likely: {readings}",
        Place(name, number),
        "choose the one that reads right: data.encoding={encoding}",
        readings=readings,
        encoding=ranked[0].encoding,
    )


def _say(text: str, encoding: str, by: Callable[..., Message], name: str) -> Decoded:
    line, sample = _sample(text)
    said = by(source=name, encoding=encoding, line=line, sample=sample)
    return Decoded(text.removeprefix("\ufeff"), (read_as(ENCODING, encoding, said),))


def _by_mark(**values: object) -> Message:
    return message(
        "data.encoding_by_mark",
        "{source}: read as {encoding}, by its byte-order mark; line {line} is: {sample} "
        "(data.encoding=NAME reads it otherwise).",
        **values,
    )


def _by_zeros(**values: object) -> Message:
    return message(
        "data.encoding_by_zeros",
        "{source}: read as {encoding}, by where its zero bytes are; line {line} is: {sample} "
        "(data.encoding=NAME reads it otherwise).",
        **values,
    )


def _by_words(**values: object) -> Message:
    return message(
        "data.encoding_by_words",
        "{source}: not UTF-8; read as {encoding}, in which its words are likeliest; line {line} "
        "is: {sample} (data.encoding=NAME reads it otherwise).",
        **values,
    )


def _sample(text: str) -> tuple[int, str]:
    """The first line that is not ASCII, or else the first, with its number."""
    lines = re.split(r"\r?\n|\r", text)
    number = next((i for i, line in enumerate(lines, 1) if not line.isascii()), 1)
    line = lines[number - 1].strip("\ufeff ")
    at = next((i for i, one in enumerate(line) if one > "\x7f"), 0)
    start = max(0, at - 40)
    return number, line[start : start + 80]
