"""Measured parts of pages: tables between `<!-- NAME -->` and `<!-- end of NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def pages(name: str) -> dict[str, Path]:
    """A document in English and in Chinese, by language."""
    return {"en": ROOT / f"docs/{name}.md", "zh": ROOT / f"docs/zh/{name}.md"}


def with_part(page: str, name: str, part: str) -> str:
    """The page with this between its marks. Raises `ValueError` where it has no such marks."""
    marks = rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)"
    text, found = re.subn(
        marks, lambda mark: f"{mark[1]}\n{part}\n\n{mark[2]}", page, flags=re.DOTALL
    )
    if found != 1:
        raise ValueError(f"the page has {found} places for {name}, not one")
    return text


def write_parts(where: Mapping[str, Path], name: str, parts: Mapping[str, str]) -> None:
    """Put a part into the pages, each in its language."""
    for language, page in where.items():
        text = with_part(page.read_text(encoding="utf-8"), name, parts[language])
        page.write_text(text, encoding="utf-8")


def as_table(head: Sequence[str], rows: Sequence[Sequence[object]], left: int = 0) -> str:
    """A Markdown table of numbers; the first `left` columns are words."""
    lines = [head, ["---"] * left + ["--:"] * (len(head) - left), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
