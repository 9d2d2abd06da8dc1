"""The final number is right: for arithmetic, and for word problems such as those of GSM8K.

Numbers are compared exactly, as fractions: 0.5, 1/2 and 50% are one number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from pydantic import Field

from welltuned.rlhf.rewards.base import Check

_LONGEST = 60
"""Characters of a number; what is longer is none. Python's integers have no end, but time has."""
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<![0-9])\.[0-9]+"
_PLAIN = rf"(?:{_DIGITS})(?:[eE][-+]?[0-9]{{1,2}}(?![0-9]))?"
_NUMBER = re.compile(
    rf"""
    (?:(?<![A-Za-z_0-9.)\]}}%])(?P<sign>[-+]))?   # no minus where something is taken from
    [$€£¥]?
    (?<![A-Za-z_0-9.])                         # no part of a name or of a longer number
    (?:(?P<whole>[0-9]+)\s+(?=[0-9]+/))?       # one and three quarters: 1 3/4
    (?P<over>{_PLAIN})
    (?:\s?/\s?(?P<under>{_PLAIN}))?
    (?P<percent>\s?(?:%|percent\b|per\ cent\b))?
    """,
    re.VERBOSE,
)
_BOX = "\\boxed{"
_HASHES = "####"
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_MARKUP = str.maketrans({"−": "-", "－": "-", "＋": "+", "％": "%", "．": ".", "⁄": "/"})
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}
_FULL_WIDTH = str.maketrans({chr(ord("０") + digit): str(digit) for digit in range(10)})


@dataclass(frozen=True)
class Number:
    """A number that somebody wrote; `percent` says whether a percent sign stands behind it."""

    value: Fraction
    percent: bool = False

    @property
    def readings(self) -> set[Fraction]:
        """What it may be: 50% is 50, where per cent is what was asked for, or 1/2."""
        return {self.value, self.value / 100} if self.percent else {self.value}


class FinalNumber(Check):
    """1 where the last number of a response is that of its prompt's row, else 0."""

    expects: ClassVar[str] = "a number, or a text with one at its end"

    type: Literal["final_number"] = "final_number"
    column: str = Field(default="answer", examples=["solution"])
    """The column of the prompts' file that holds the right number, alone or as the final number of
    a text."""
    written: Literal["anyhow", "boxed", "hashes"] = "anyhow"
    r"""How a response gives its number. boxed: in the last \boxed{…}; hashes: behind the last ####,
    as in GSM8K; anyhow: in one of these where it has them, else as its last number."""
    tolerance: float = Field(default=0.0, ge=0, lt=1)
    """How far off it may be, as a share of the right number; 0 for equal numbers alone."""

    @property
    def needed_columns(self) -> tuple[str, ...]:
        return (self.column,)

    def accepts(self, cell: object) -> bool:
        return number_in(cell) is not None

    def score(self, response: str, cells: Mapping[str, object]) -> float:
        said, right = final_number(response, self.written), number_in(cells[self.column])
        return float(said is not None and right is not None and self._equal(said, right))

    def _equal(self, said: Number, right: Number) -> bool:
        if said.percent and right.percent:
            pairs = [(said.value, right.value)]
        else:
            pairs = [(one, other) for one in said.readings for other in right.readings]
        room = Fraction(self.tolerance)
        return any(abs(one - other) <= room * abs(other) for one, other in pairs)


def number_in(cell: object) -> Number | None:
    """The number of a cell: itself, or the final one of a text. None where it has none."""
    if isinstance(cell, bool) or not isinstance(cell, (int, float, str)):
        return None
    if isinstance(cell, float):
        return Number(Fraction(repr(cell))) if math.isfinite(cell) else None
    return Number(Fraction(cell)) if isinstance(cell, int) else final_number(cell)


def final_number(text: str, written: str = "anyhow") -> Number | None:
    """The number that a text comes to. None where it has none, or not `written` so.

    >>> final_number("So 3 * 411.5 = 1,234.5, and that is all.").value
    Fraction(2469, 2)
    >>> final_number("2 + 3 = 5\\n#### -7").value
    Fraction(-7, 1)
    """
    box, hashes = _in_last_box(text), text.rpartition(_HASHES)
    if box is not None and written != "hashes":
        return _last(box)
    if hashes[1] and written != "boxed":
        found = _numbers(hashes[2].partition("\n")[0])
        return found[0] if found else None
    return _last(text) if written == "anyhow" else None


def _last(text: str) -> Number | None:
    found = _numbers(text)
    return found[-1] if found else None


def _in_last_box(text: str) -> str | None:
    r"""What stands in the last \boxed{…}, inner braces included; None without one that closes."""
    start = text.rfind(_BOX)
    if start < 0:
        return None
    depth = 1
    for end, sign in enumerate(text[start + len(_BOX) :], start + len(_BOX)):
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if depth == 0:
            return text[start + len(_BOX) : end]
    return None


def _numbers(text: str) -> list[Number]:
    found = (_read(match) for match in _NUMBER.finditer(_plain(text)))
    return [number for number in found if number is not None]


def _plain(text: str) -> str:
    """The text with digits, signs and fractions as they are typed."""
    text = text.translate(_MARKUP).translate(_FULL_WIDTH)
    for sign, typed in _VULGAR.items():
        text = text.replace(sign, f" {typed}")
    text = _FRACTION.sub(r" \1/\2", text)
    for latex, typed in (("{,}", ","), ("\\,", ""), ("\\!", ""), ("\\$", "$"), ("\\%", "%")):
        text = text.replace(latex, typed)
    return text


def _read(match: re.Match[str]) -> Number | None:
    """The number of a match; None for one without end, or over zero."""
    if len(match[0]) > _LONGEST:
        return None
    over, under = _fraction(match["over"]), _fraction(match["under"] or "1")
    if not under:
        return None
    value = Fraction(match["whole"] or 0) + over / under
    return Number(-value if match["sign"] == "-" else value, match["percent"] is not None)


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace(",", ""))
