"""The tables of docs/reliability.md and docs/zh/reliability.md: what the last storm found.

`make storm` writes them, from `tests/storm/figures.json`, and `tests/docs/test_storm_figures.py`
holds them equal.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "tests/storm/figures.json"
PAGES = {"en": ROOT / "docs/reliability.md", "zh": ROOT / "docs/zh/reliability.md"}
GROUPS = {
    "SIGKILL at a random moment": "在随机时刻 SIGKILL",
    "SIGKILL at each step of a save": "在保存的每一步 SIGKILL",
    "SIGTERM and Ctrl-C anywhere": "在任意处 SIGTERM 和 Ctrl-C",
    "a dead cell of a comparison": "比较中的一个单元死亡",
    "a dead rank": "一个 rank 死亡",
    "a full disk": "磁盘写满",
    "flipped, cut, zeroed and deleted files": "文件被翻转、截断、清零和删除",
    "injected NaN, and memory that runs out": "注入 NaN 和内存耗尽",
    "two owners of one folder": "一个文件夹的两个所有者",
}
"""Every group of faults, and its name in Chinese."""
_HEADS = {
    "en": "| faults | tried | survived | lost | negative controls that failed as they should |",
    "zh": "| 故障 | 尝试 | 幸存 | 丢失 | 如期失败的阴性对照 |",
}
_BASIS = {
    "en": "Seed {seed}, Python {python}, torch {torch}, transformers {transformers}, {system}.",
    "zh": "种子 {seed}，Python {python}，torch {torch}，transformers {transformers}，{system}。",
}
_TABLE = re.compile(r"(<!-- storm -->\n).*?(<!-- end of storm -->)", re.DOTALL)


def main() -> None:
    """Write both tables."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    for language, page in PAGES.items():
        text = with_table(page.read_text(encoding="utf-8"), figures, language)
        page.write_text(text, encoding="utf-8")


def with_table(page: str, figures: dict[str, Any], language: str) -> str:
    """The page with these figures."""
    rows = [_row(name, counts, language) for name, counts in figures["groups"].items()]
    basis = _BASIS[language].format(seed=figures["seed"], **figures["machine"])
    table = "\n".join([_HEADS[language], "|---|--:|--:|--:|--:|", *rows, "", basis])
    return _TABLE.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", page)


def _row(name: str, counts: dict[str, int], language: str) -> str:
    told = GROUPS[name] if language == "zh" else name
    lost = counts["tried"] - counts["survived"]
    return f"| {told} | {counts['tried']} | {counts['survived']} | {lost} | {counts['controls']} |"


if __name__ == "__main__":
    main()
