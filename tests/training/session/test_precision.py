"""The slice that precisions are tried on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from welltuned.training.session.precision import probe_rows


def examples(*lengths: int) -> Any:
    return SimpleNamespace(lengths=np.array(lengths))


@pytest.mark.parametrize(
    ("lengths", "tokens", "most", "rows"),
    [
        ((10, 90, 11, 50, 12), 64, 16, [4, 2, 0, 3, 1]),
        ((10, 90, 11, 50, 12), 64, 2, [4, 2]),
        ((10, 90, 11, 50, 12), 25, 16, [4, 2]),
        ((900, 700, 800), 64, 16, [1]),
    ],
)
def test_it_has_examples_of_usual_length(
    lengths: tuple[int, ...], tokens: int, most: int, rows: list[int]
) -> None:
    """As many as that many tokens, and one where each is longer: the shortest."""
    assert probe_rows(examples(*lengths), tokens, most) == rows
