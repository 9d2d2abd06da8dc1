"""Inputs that nobody would write: arbitrary bytes, and valid ones with pieces changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

FEW, MANY = 40, 10_000
NUMBERS = [
    pytest.param(FEW, id="few"),
    pytest.param(MANY, id="many", marks=[pytest.mark.storm, pytest.mark.timeout(7200)]),
]
"""How many inputs are tried: in `make test`, and in `make fuzz`."""

_PIECES = (
    b"\n", b"\r", b'"', b"'", b",", b"\t", b"\0", b"[", b"]", b"{", b"}", b":", b"\\u", b"\\ud800",
    b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"null", b"NaN", b"-1", b"1e999", b"9" * 5000, b"0",
    b"[" * 400, b"sep=;\n", b"#", b"-DOCSTART-", "١²\u2028\x85".encode(), b"<", b"&", b"_xD800_",
)  # fmt: skip

Edit = tuple[int, int, bytes]
"""Where, how many bytes go, and what comes in their place."""


def mutated(valid: bytes, most: int = 4) -> some.SearchStrategy[bytes]:
    """A valid input in which some pieces are lost, changed or put in."""
    piece = some.sampled_from(_PIECES) | some.binary(max_size=4)
    edit = some.tuples(some.integers(0, len(valid)), some.integers(0, 12), piece)
    cut = some.integers(0, len(valid)).map(lambda end: valid[:end])
    return some.lists(edit, min_size=1, max_size=most).map(lambda edits: _apply(valid, edits)) | cut


def _apply(valid: bytes, edits: Sequence[Edit]) -> bytes:
    for at, gone, piece in edits:
        valid = valid[:at] + piece + valid[at + gone :]
    return valid


def try_out(number: int, inputs: some.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Check so many inputs. Few are the same every time; many are others each time."""
    tried = 0

    def counting(one: Any) -> None:
        nonlocal tried
        tried += 1
        check(one)

    settings(
        max_examples=number,
        deadline=None,  # what hangs runs into the time that a test has
        database=None,
        derandomize=number == FEW,
        phases=[Phase.generate, *([Phase.shrink] if number > FEW else [])],
        suppress_health_check=list(HealthCheck),
    )(given(inputs)(counting))()
    print(f"{tried:,} inputs")
