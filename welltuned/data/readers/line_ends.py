"""Line ends: LF, CRLF and CR, also in one file, and the numbers that lines have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from welltuned.data.config import DataConfig
from welltuned.data.readings import Reading, question, read_as
from welltuned.schema.messages import message

LINE_ENDS = question(
    "line_ends",
    asks="Does a bare carriage return (CR) end a line where others end in a line feed (LF)?",
    evidence="No where only so the rows of a table have equal numbers of cells; yes elsewhere, for "
    "programs that write CR mean a line end. Said where a file has both.",
    key="data.line_ends",
)
BARE_CR = re.compile(r"\r(?!\r*\n)")
_ANY_END = re.compile(r"\r*\n|\r")  # CR CR LF is what a CRLF becomes when converted twice
_LF_END = re.compile(r"\r?\n")


class Lines(NamedTuple):
    """Lines with their numbers, and how their ends were read."""

    numbered: list[tuple[int, str]]
    readings: tuple[Reading, ...]


def split_lines(text: str, name: str, config: DataConfig) -> Lines:
    """The lines of a text without their ends."""
    if config.line_ends == "lf":
        return Lines(list(enumerate(_LF_END.split(text), 1)), ())
    lines = with_feeds(text).split("\n")
    return Lines(list(enumerate(lines, 1)), tell_mixed(text, name, config))


def with_feeds(text: str) -> str:
    """The text with each end of a line written as LF."""
    return _ANY_END.sub("\n", text) if "\r" in text else text


def tell_mixed(
    text: str, name: str, config: DataConfig, cells: Iterable[str] = ()
) -> tuple[Reading, ...]:
    """What is to be said where bare CRs end lines besides LFs; nothing elsewhere.

    Line ends in quoted `cells` are text.
    """
    bare = count_bare(text, cells)
    if not bare or config.line_ends != "auto":
        return ()
    said = message(
        "data.line_ends_mixed",
        "{source}: line ends are mixed, and {number:,} lines end in a carriage return alone "
        "(data.line_ends=lf takes it for text).",
        source=name,
        number=bare,
    )
    return (read_as(LINE_ENDS, "any", said),)


def tell_text(text: str, name: str) -> Reading:
    """What is to be said where bare CRs were taken for text."""
    said = message(
        "data.line_ends_lf",
        "{source}: {number:,} carriage returns alone are text, for else rows would not have as "
        "many cells as the header (data.line_ends=any takes them for line ends).",
        source=name,
        number=count_bare(text),
    )
    return read_as(LINE_ENDS, "lf", said)


def count_bare(text: str, cells: Iterable[str] = ()) -> int:
    """How many bare CRs stand besides LFs, outside of quoted cells."""
    if BARE_CR.search(text) is None:
        return 0
    within = "\0".join(cells)
    feeds = text.count("\n") - within.count("\n")
    bare = len(BARE_CR.findall(text)) - len(BARE_CR.findall(within))
    return max(0, bare) if feeds else 0
