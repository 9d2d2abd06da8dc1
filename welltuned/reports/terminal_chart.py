"""A curve in a terminal, drawn with braille dots: two across and four down in each character."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_WIDTH, _HEIGHT = 64, 12
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of a braille character for each of its dots, row by row."""
_BLANK = 0x2800


def log_curve(xs: Sequence[float], ys: Sequence[float], top: float, mark: float) -> list[str]:
    """Lines of text: `ys` up to `top` over `xs` on a logarithmic axis, and an arrow at `mark`."""
    low, high = min(ys), max(min(max(ys), top), min(ys) + 1e-12)
    cells = [[_BLANK] * _WIDTH for _ in range(_HEIGHT)]
    points = [(_across(x, xs), _down(y, low, high)) for x, y in zip(xs, ys, strict=True)]
    for (x0, y0), (x1, y1) in pairwise(points):
        for step in range(steps := max(abs(x1 - x0), abs(y1 - y0), 1)):
            x, y = round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
            if 0 <= y < 4 * _HEIGHT:
                cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]
    labels = {0: f"{high:.3g}", _HEIGHT - 1: f"{low:.3g}"}
    lines = [
        f"{labels.get(i, ''):>8} │{''.join(map(chr, row))}".rstrip() for i, row in enumerate(cells)
    ]
    arrow = _across(mark, xs) // 2
    lines.append(f"{'':8} └{'─' * arrow}┴{'─' * (_WIDTH - arrow - 1)}")
    left, right = f"{xs[0]:.0e}", f"{xs[-1]:.0e}"
    middle = f"{mark:.2g}"
    start = min(max(arrow - len(middle) // 2, len(left) + 1), _WIDTH - len(right) - len(middle) - 1)
    row = f"{left}{' ' * (start - len(left))}{middle}"
    lines.append(f"{'':10}{row}{' ' * (_WIDTH - len(row) - len(right))}{right}")
    return lines


def _across(x: float, xs: Sequence[float]) -> int:
    """The column of dots of a value."""
    share = math.log(x / xs[0]) / max(math.log(xs[-1] / xs[0]), 1e-12)
    return round(min(max(share, 0.0), 1.0) * (2 * _WIDTH - 1))


def _down(y: float, low: float, high: float) -> int:
    """The row of dots of a value; what lies above the top is not drawn."""
    return round((1 - (y - low) / (high - low)) * (4 * _HEIGHT - 1))
