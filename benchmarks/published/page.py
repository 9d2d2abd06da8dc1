"""docs/peft-benchmark.md and its Chinese twin: a template, filled from the published figures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from published.differences import ALPHA, front, wilson
from published.findings import figures
from published.records import Published, Record
from published.reruns import Layout
from published.standing import FIRST, LAST, LATER, Standing, beside_the_best, twice_run

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"en": ROOT / "docs/peft-benchmark.md", "zh": ROOT / "docs/zh/peft-benchmark.md"}
TEMPLATES = {name: Path(__file__).with_name(f"peft_metamathqa.{name}.md") for name in PAGES}
NONE = "–"
STANDING = {
    "en": ["", "experiment", "right", "accuracy, %", "95%", "behind the best, points (95%)",
           "p", "p, paired, at best", "p, paired, at worst", "told apart up to"],
    "zh": ["", "实验", "答对", "准确率，%", "95%", "落后最佳，百分点（95%）",
           "p", "p，配对，最好情形", "p，配对，最坏情形", "可区分的上限"],
}  # fmt: skip
TWICE = {
    "en": ["", "experiment", "January, %", "July, %", "change", "mean, %", "p"],
    "zh": ["", "实验", "一月，%", "七月，%", "变化", "均值，%", "p"],
}
COST = {
    "en": ["experiment", "accuracy, %", "forgetting", "perplexity", "memory, GiB", "seconds",
           "file, MB", "trained, M", "nobody better and cheaper in"],
    "zh": ["实验", "准确率，%", "遗忘", "困惑度", "内存，GiB", "秒",
           "文件，MB", "训练参数，M", "无人更好且更省的方面"],
}  # fmt: skip
WORDS = {"", "experiment", "实验", COST["en"][-1], COST["zh"][-1]}
"""Columns of words."""
FRONTS = {
    "en": {"memory_bytes": "memory", "seconds": "time", "file_bytes": "file",
           "forgetting": "forgetting"},
    "zh": {"memory_bytes": "内存", "seconds": "时间", "file_bytes": "文件", "forgetting": "遗忘"},
}  # fmt: skip


def filled(template: str, published: Published, language: str) -> str:
    """A template with every `[[name]]` replaced; `KeyError` for one that is not known."""
    known = {**figures(published), **tables(published, language)}
    return re.sub(r"\[\[([^\]]+)\]\]", lambda found: known[found[1]], template)


def tables(published: Published, language: str) -> dict[str, str]:
    """The tables of the page, by name."""
    rows, layout = published.of(LAST, LATER), twice_run(published)
    standing = [standing_cells(one, published) for one in beside_the_best(rows, layout)]
    return {
        "table standing": table(STANDING[language], standing),
        "table twice": table(TWICE[language], twice_cells(layout, published)),
        "table cost": table(COST[language], cost_cells(rows, FRONTS[language])),
    }


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right."""
    lines = [heads, ["---" if head in WORDS else "---:" for head in heads], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def standing_cells(standing: Standing, published: Published) -> list[str]:
    """A row beside the best one."""
    record = standing.record
    low, high = wilson(record.correct, record.questions)
    about, address = "≈ " if record.rounded else "", published.address(record)
    row = [
        "●" if standing.may_be_best else "",
        f"[{record.name}]({address})" if address else record.name,
        f"{about}{record.correct}",
        f"{about}{100 * record.accuracy:.1f}",
        f"{100 * low:.1f}–{100 * high:.1f}",
    ]
    if standing.behind == 0:
        return [*row, *[NONE] * 5]
    half = 1.96 * standing.error
    ends = [signed(100 * (standing.behind + side * half)) for side in (-1, 1)]
    most = standing.most_disagreements
    return [
        *row,
        f"{100 * standing.behind:.1f} ({ends[0]}, {ends[1]})",
        chance(standing.p),
        chance(standing.paired.best),
        chance(standing.paired.worst),
        NONE if most is None else f"{100 * min(1, most / record.questions):.0f}%",
    ]


def twice_cells(layout: Layout, published: Published) -> list[list[str]]:
    """The experiments that were run twice, best mean first."""
    best, rows = float(layout.means[0]), []
    for name, mean in zip(layout.names, layout.means, strict=True):
        first, last = (published.one(name, rerun).accuracy for rerun in (FIRST, LAST))
        p = min(1.0, layout.p_of_difference(best - mean, runs=2) * (len(layout.names) - 1))
        rows.append(
            [
                "●" if mean == best or p >= ALPHA else "",
                name,
                f"{100 * first:.1f}",
                f"{100 * last:.1f}",
                signed(100 * (last - first)),
                f"{100 * mean:.1f}",
                NONE if mean == best else chance(p),
            ]
        )
    return rows


def cost_cells(rows: Sequence[Record], words: Mapping[str, str]) -> list[list[str]]:
    """What each takes and forgets, and where it is on the front with accuracy."""
    fronts = {name: on_front(rows, name) for name in words}
    return [
        [
            record.name,
            f"{100 * record.accuracy:.1f}",
            shown(record.forgetting, lambda value: f"{value:.3f}"),
            shown(record.forgetting, lambda value: f"{100 * math.expm1(value):+.1f}%"),
            shown(record.memory_bytes, lambda value: f"{value / 2**30:.1f}"),
            shown(record.seconds, lambda value: f"{value:,.0f}"),
            shown(record.file_bytes, lambda value: f"{value / 1e6:,.0f}"),
            shown(record.trainable, lambda value: f"{value / 1e6:,.1f}"),
            ", ".join(word for name, word in words.items() if record.name in fronts[name]),
        ]
        for record in rows
    ]


def on_front(rows: Sequence[Record], cost: str) -> set[str]:
    """The experiments that nobody beats in accuracy and this cost, among those with both."""
    found = [
        (record.name, (record.accuracy, value))
        for record in rows
        if (value := record.cost(cost)) is not None
    ]
    on = front([point for _, point in found])
    return {name for (name, _), is_on in zip(found, on, strict=True) if is_on}


def shown(value: float | None, say: Callable[[float], str]) -> str:
    """A figure, or a dash where none was published."""
    return NONE if value is None else say(value)


def signed(points: float) -> str:
    """Points with their sign, as Markdown shows it best."""
    return f"{points:+.1f}".replace("-", "−")


def chance(p: float) -> str:
    """A p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
