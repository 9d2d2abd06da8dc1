"""Cells: lists, flags and labels as tables write them."""

from __future__ import annotations

import ast
import csv
import json
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache

_ITEM = r"""(?:'[^']*'|"[^"]*"|[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|True|False)"""
_NUMPY = re.compile(rf"\[\s*(?:{_ITEM}(?:\s+{_ITEM})*)?\s*\]")
_NUMPY_ITEM = re.compile(_ITEM)
_BRACKETS = ("[]", "()", "{}")
_WHOLE = re.compile(r"([+-]?\d{1,309})\.0+")  # no float has more digits
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?$")
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


REPEATED = 1_000
"""So many different labels are looked at once each, though a column has them in every row."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would compute."""


def defused(cell: object) -> object:
    """The cell as a spreadsheet shows it and does not compute it: behind an apostrophe.

    >>> defused("=1+1"), defused("-1"), defused("good")
    ("'=1+1", '-1', 'good')
    """
    if not isinstance(cell, str) or not cell.startswith((*_FORMULA, "'")) or _NUMBER.match(cell):
        return cell
    return f"'{cell}"


def as_typed(cell: object) -> object:
    """What was defused, as it was before."""
    if isinstance(cell, str) and cell[:1] == "'" and cell[1:2] in (*_FORMULA, "'"):
        return cell[1:]
    return cell


def as_list(cell: object) -> list[object] | None:
    """The list that a cell is, or spells as Python, pandas, NumPy or JSON write one; else None.

    >>> as_list("['good', 'nice']"), as_list('["good"]'), as_list("[1 0 0]"), as_list("good")
    (['good', 'nice'], ['good'], [1, 0, 0], None)
    """
    if isinstance(cell, (list, tuple)):
        return list(cell)
    text = cell.strip() if isinstance(cell, str) else ""
    if len(text) < 2 or text[0] + text[-1] not in _BRACKETS:
        return None
    readers: tuple[Callable[[str], object], ...] = (json.loads, _from_numpy, _from_python)
    for read in readers:
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, (set, frozenset)):
            return sorted(found, key=repr)
        if isinstance(found, (list, tuple)):
            return list(found)
    return None


def _from_numpy(text: str) -> list[object]:
    """Items parted by spaces alone, which Python would read as one text. Raises `ValueError`."""
    if not _NUMPY.fullmatch(text):
        raise ValueError("no array")
    return [ast.literal_eval(item) for item in _NUMPY_ITEM.findall(text)]


def _from_python(text: str) -> object:
    """A literal, without a warning where a text is nearly one. Raises as `ast.literal_eval`."""
    with warnings.catch_warnings(action="ignore"):
        return ast.literal_eval(text)


def as_flag(cell: object) -> bool | None:
    """True for 1 and true, false for 0 and false, however they are written; else None."""
    return _FLAGS.get(str(cell).strip().casefold())


def are_flags(cell: object) -> bool:
    """Whether a cell says of each of some labels whether it applies: {"toxic": 1, "insult": 0}."""
    return isinstance(cell, dict) and all(as_flag(flag) is not None for flag in cell.values())


def as_key(cell: object) -> str:
    """A label as text: 1, 1.0, "1.0" and " 1 " are one label, and so are NFC and NFD."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return _as_key(str(cell))


@lru_cache(REPEATED)
def _as_key(cell: str) -> str:
    text = unicodedata.normalize("NFC", cell.strip())
    whole = _WHOLE.fullmatch(text)
    return str(int(whole[1])) if whole else text


def is_missing(cell: object) -> bool:
    """Nothing, blanks, or the not-a-number that stands for nothing in tables."""
    if isinstance(cell, str):
        return not cell or cell.isspace()
    return cell is None or (isinstance(cell, float) and cell != cell)


# --- Several names in one text -------------------------------------------------------


def join_names(names: Iterable[object]) -> str:
    """Names with commas between them; those that hold a comma are quoted."""
    return ",".join(f'"{name}"' if "," in str(name) else str(name) for name in names)


def split_names(text: str) -> list[str]:
    """The names that `join_names` joined, or that somebody wrote with commas between them."""
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
