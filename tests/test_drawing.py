"""Charts are drawn only where one is looked at, and for what several files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from welltuned.reports import charts


def chart(folder: Path) -> str:
    page = folder / "page.html"
    page.write_text(charts.drawn(lambda figure: None, (1, 1), "A chart"), encoding="utf-8")
    return page.read_text(encoding="utf-8")


def test_where_none_is_looked_at_none_is_drawn(tmp_path: Path) -> None:
    assert chart(tmp_path) == '<div role="img" aria-label="A chart"></div>'


def test_what_is_shared_is_drawn_whichever_file_asks_first(
    built_once: Callable[..., Path],
) -> None:
    page = built_once("chart", chart) / "page.html"
    assert page.read_text(encoding="utf-8").startswith("<svg")
