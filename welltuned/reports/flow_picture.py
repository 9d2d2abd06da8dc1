"""A picture of one source's data flow: its tokens in lines, and a curve from value to value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

_WIDE, _CHARACTER, _LINE, _MARGIN = 96, 7.3, 46, 24
"""Characters in a line; the width of one, the height of a line and the margin, in pixels."""


class Spot(NamedTuple):
    """Where a token stands: the line, and its first and last column."""

    line: int
    first: int
    last: int

    @property
    def x(self) -> float:
        return _MARGIN + _CHARACTER * (self.first + self.last) / 2

    @property
    def y(self) -> float:
        return float(_MARGIN + _LINE * (self.line + 0.5))


def flow_picture(graph: Mapping[str, Any], title: str) -> Markup:
    """Inline SVG of `tokens`, of the `nodes` among them, and of the `sources` of each node."""
    tokens, nodes = graph["tokens"], graph["nodes"]
    spots = list(laid_out(tokens))
    lines = spots[-1].line + 1 if spots else 1
    width, height = 2 * _MARGIN + _WIDE * _CHARACTER, 2 * _MARGIN + _LINE * lines
    curves = [
        _curve(spots[nodes[source]], spots[node])
        for node, sources in zip(nodes, graph["sources"], strict=True)
        for source in sources
    ]
    words = [
        _word(token, spot, i in nodes)
        for i, (token, spot) in enumerate(zip(tokens, spots, strict=True))
    ]
    return Markup(
        '<svg role="img" aria-label="{}" viewBox="0 0 {:.0f} {:.0f}" font-family="monospace" '
        'font-size="12">{}</svg>'
    ).format(title, width, height, Markup("").join([*curves, *words]))


def laid_out(tokens: Sequence[str]) -> Iterator[Spot]:
    """The place of each token, with a space between two."""
    line, column = 0, 0
    for token in tokens:
        if column and column + len(token) > _WIDE:
            line, column = line + 1, 0
        yield Spot(line, column, column + len(token))
        column += len(token) + 1


def _word(token: str, spot: Spot, is_node: bool) -> Markup:
    colour = "var(--first)" if is_node else "var(--muted)"
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle" fill="{}">{}</text>').format(
        spot.x, spot.y, colour, token
    )


def _curve(source: Spot, target: Spot) -> Markup:
    """From above the token that has the value to above the one that takes it, where it ends."""
    top = min(source.y, target.y) - 12
    high = top - min(26.0, 8 + abs(target.x - source.x) / 14)
    return Markup(
        '<path d="M{:.1f} {:.1f} C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}" fill="none" '
        'stroke="var(--second)" opacity="0.7"/><circle cx="{:.1f}" cy="{:.1f}" r="2" '
        'fill="var(--second)"/>'
    ).format(
        *(source.x, source.y - 12, source.x, high, target.x, high, target.x, target.y - 12),
        *(target.x, target.y - 12),
    )
