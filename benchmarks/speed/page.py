"""The measured numbers as tables: in docs/performance.md, the README and their Chinese twins."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from marked import with_part
from speed.limits import AIMED_AT
from speed.place import ROOT, versions_of
from speed.rounds import SIDES
from speed.rows import ROWS
from speed.start import STARTS, medians

PAGES = {"en": ROOT / "docs/performance.md", "zh": ROOT / "docs/zh/performance.md"}
READMES = {"en": ROOT / "README.md", "zh": ROOT / "README.zh.md"}
PLOT = ROOT / "docs/assets/scaling.svg"
MATTER = ("full", "lora", "head", "predict", "comparison")
"""The rows that a README shows."""

Measured = Mapping[str, Any]
Texts = Mapping[str, str]

HEADS = {
    "en": ["row", "work", "peer / ours", "spread", "aimed at", "seconds, ours / peer",
           "GB, ours / peer", "score, ours / peer", "rounds"],
    "zh": ["行", "工作", "对方 / 我们", "范围", "目标", "秒数，我们 / 对方",
           "GB，我们 / 对方", "分数，我们 / 对方", "轮数"],
}  # fmt: skip
BRIEF_HEADS = {
    "en": ["work", "times as fast", "spread", "accuracy, ours / peer"],
    "zh": ["工作", "快多少倍", "范围", "准确率，我们 / 对方"],
}
START_HEADS = {
    "en": ["from an empty process until", "seconds", "spread", "CPU seconds", "aimed at"],
    "zh": ["从空进程到", "秒数", "范围", "CPU 秒数", "目标"],
}
LIMIT_HEADS = {
    "en": ["examples a step", "tokens a step", "share of the limit", "spread", "aimed at"],
    "zh": ["每步样本数", "每步词元数", "占上限的份额", "范围", "目标"],
}
PHASES = {
    "train": ("train",),
    "validate": ("validate",),
    "test": ("test", "baseline", "generate"),
    "retention": ("retention",),
    "data": ("import", "data", "load", "probe"),
    "end": ("save", "proof", "report"),
}
"""Columns of the table of phases, and the phases that each adds up."""
OURS_ALONE = ("validate", "retention", "probe")
"""What our side does and the scripts do not, as far as it is a phase of its own."""
PHASE_HEADS = {
    "en": ["row", "train", "its share of the product rate", "validate", "test, tuned and untouched",
           "retention", "import, data, load, probe", "save, proof, report",
           "peer / ours without validation, retention and probes"],
    "zh": ["行", "训练", "训练占乘积速率的份额", "验证", "测试（微调后与未动过的）",
           "保留度", "导入、数据、加载、探测", "保存、证明、报告",
           "对方 / 我们（不计验证、保留度和探测）"],
}  # fmt: skip
SCALING_HEADS = {
    "en": ["strategy", "examples", "seconds", "milliseconds an example", "memory"],
    "zh": ["策略", "样本数", "秒数", "每个样本的毫秒数", "内存"],
}
SCORES = {
    "accuracy": "准确率",
    "loss a token": "每个词元的损失",
    "pair accuracy": "成对准确率",
}
"""In Chinese."""
ALIKE = ("data", "examples", "cpu", "cores", "versions")
"""What rows must agree in to be told of in one line."""
NOTHING = {"en": "Not measured yet.", "zh": "尚未测量。"}
MADE = {
    "en": "`{data}`, {examples} training examples; {cpu}, {cores} × CPU; {versions}; {days}.",
    "zh": "`{data}`，{examples} 个训练样本；{cpu}，{cores} × CPU；{versions}；{days}。",
}


# --- Numbers ----------------------------------------------------------------------


def ratios(row: Measured) -> list[float]:
    """Peer over ours, by round: the higher, the faster we are."""
    return [one["theirs"]["seconds"] / one["ours"]["seconds"] for one in row["rounds"]]


def median(row: Measured, side: str, what: str) -> float | None:
    found = [one[side].get(what) for one in row["rounds"]]
    known = [value for value in found if value is not None]
    return statistics.median(known) if known else None


def spread(values: Sequence[float], digits: int = 2) -> str:
    """From the least to the greatest, where there are several."""
    if len(values) < 2:
        return "–"
    return f"{min(values):.{digits}f} to {max(values):.{digits}f}"


def both(row: Measured, what: str, shown: str, unit: float = 1.0) -> str:
    """A figure of both sides; a dash where there is none."""
    values = [median(row, side, what) for side in SIDES]
    if all(value is None for value in values):
        return "–"
    return " / ".join("–" if value is None else format(value / unit, shown) for value in values)


def cells(name: str, row: Measured, language: str) -> dict[str, str]:
    """A row of the table."""
    found, known = ratios(row), ROWS[name]
    score = both(row, "score", ".3f")
    if score != "–" and known.score != "accuracy":
        score += f" ({known.score if language == 'en' else SCORES[known.score]})"
    return {
        "row": f"`{name}`",
        "work": known.english if language == "en" else known.chinese,
        "ratio": f"**{statistics.median(found):.2f}**",
        "spread": spread(found),
        "target": "–" if known.target is None else f"{known.target:.1f}",
        "seconds": both(row, "seconds", ".1f"),
        "memory": both(row, "bytes", ".2f", 1e9),
        "score": score,
        "rounds": str(len(found)),
    }


def line(name: str, row: Measured) -> str:
    """A row of the table, for a terminal."""
    said = cells(name, row, "en")
    return (
        f"{name:13} {said['ratio'].strip('*'):>6} ({said['spread']}; aimed at {said['target']})  "
        f"{said['seconds']} s  {said['memory']}  score {said['score']}  {said['rounds']} rounds"
    )


# --- Tables -----------------------------------------------------------------------


def table(heads: Sequence[str], rows: Iterator[list[str]] | list[list[str]]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(one) + " |" for one in lines)


def rows_of(kept: Measured, language: str) -> str:
    """The table of rows that were measured, and what they were measured with."""
    found = {name: kept["rows"][name] for name in ROWS if name in kept["rows"]}
    if not found:
        return NOTHING[language]
    said = [list(cells(name, row, language).values()) for name, row in found.items()]
    return f"{table(HEADS[language], said)}\n\n{made(list(found.values()), language)}"


def brief(kept: Measured, language: str) -> str:
    """The table of a README."""
    rows = []
    for name in MATTER:
        if name in kept["rows"]:
            said = cells(name, kept["rows"][name], language)
            rows.append([said[cell] for cell in ("work", "ratio", "spread", "score")])
    if not rows:
        return NOTHING[language]
    measured = [kept["rows"][name] for name in MATTER if name in kept["rows"]]
    return f"{table(BRIEF_HEADS[language], rows)}\n\n{made(measured, language)}"


def phases_of(kept: Measured, language: str) -> str:
    """Where the seconds of our side went, by row."""
    rows = []
    for name in ROWS:
        rounds = kept["rows"].get(name, {"rounds": []})["rounds"]
        told = [one["ours"] for one in rounds if "phases" in one["ours"]]
        if told:
            spent = [
                statistics.median(
                    sum(one["phases"].get(phase, 0.0) for phase in parts) for one in told
                )
                for parts in PHASES.values()
            ]
            seconds = [f"{value:.1f}" for value in spent]
            shares = [one["efficiency"] for one in told if one["efficiency"] is not None]
            share = f"{statistics.median(shares):.2f}" if shares else "–"
            alike = [alike_ratio(one) for one in rounds if "phases" in one["ours"]]
            ratio = f"{statistics.median(alike):.2f}"
            rows.append([f"`{name}`", seconds[0], share, *seconds[1:], ratio])
    return table(PHASE_HEADS[language], rows) if rows else NOTHING[language]


def alike_ratio(one: Measured) -> float:
    """Peer over ours, of one round, without what our side alone does."""
    ours = one["ours"]
    alone = sum(ours["phases"].get(phase, 0.0) for phase in OURS_ALONE)
    return float(one["theirs"]["seconds"] / (ours["seconds"] - alone))


def start_of(kept: Measured, language: str) -> str:
    """How long commands take to start."""
    if "start" not in kept:
        return NOTHING[language]
    rows = []
    for name, rounds in kept["start"]["rounds"].items():
        start, median_of = STARTS[name], medians(rounds)
        rows.append(
            [
                start.english if language == "en" else start.chinese,
                f"**{median_of['seconds']:.2f}**",
                spread([one["seconds"] for one in rounds]),
                f"{median_of['cpu_seconds']:.2f}",
                f"{start.aimed_at:.2f}",
            ]
        )
    return f"{table(START_HEADS[language], rows)}\n\n{made([kept['start']], language)}"


def limit_of(kept: Measured, language: str) -> str:
    """The share of the machine's limit that a step reaches."""
    if "limit" not in kept:
        return NOTHING[language]
    rows = [
        [
            batch,
            f"{one['tokens']:,.0f}",
            f"**{statistics.median(one['shares']):.2f}**",
            spread(one["shares"]),
            f"{AIMED_AT:.1f}" if one["tokens"] >= 4000 else "–",
        ]
        for batch, one in kept["limit"]["steps"].items()
    ]
    return f"{table(LIMIT_HEADS[language], rows)}\n\n{made([kept['limit']], language)}"


def scaling_of(kept: Measured, language: str) -> str:
    """Costs by number of examples, drawn and in figures."""
    if "scaling" not in kept:
        return NOTHING[language]
    rows = [
        [
            f"`{one['strategy']}`",
            f"{one['examples']:,}",
            f"{one['seconds']:.1f}",
            f"{1000 * one['seconds'] / one['examples']:.2f}",
            f"{one['bytes'] / 1e9:.2f} GB",
        ]
        for one in sorted(kept["scaling"]["points"], key=lambda one: one["strategy"])
    ]
    drawn = "![](assets/scaling.svg)" if language == "en" else "![](../assets/scaling.svg)"
    said = made([kept["scaling"]], language)
    return f"{drawn}\n\n{table(SCALING_HEADS[language], rows)}\n\n{said}"


def made(rows: Sequence[Measured], language: str) -> str:
    """On what machine, with what, and when; a line for each that differs."""
    groups: dict[str, list[Measured]] = {}
    for row in rows:
        alike = json.dumps([row.get(what) for what in ALIKE])
        groups.setdefault(alike, []).append(row)
    lines = []
    for members in groups.values():
        one, days = members[0], sorted({row["date"] for row in members})
        text = MADE[language].format(
            data=one.get("data"),
            examples=f"{one.get('examples', 0):,}",
            cpu=one["cpu"],
            cores=one["cores"],
            versions=versions_of(one),
            days=days[0] if len(days) == 1 else f"{days[0]} – {days[-1]}",
        )
        lines.append(text if "examples" in one else re.split("[;；] ?", text, maxsplit=1)[1])
    return "\n".join(lines)


# --- Pages ------------------------------------------------------------------------


def filled(text: str, kept: Measured, language: str) -> str:
    """docs/performance.md, or its Chinese twin, with what was measured."""
    for name, content in (
        ("rows", rows_of(kept, language)),
        ("phases", phases_of(kept, language)),
        ("start", start_of(kept, language)),
        ("limit", limit_of(kept, language)),
        ("scaling", scaling_of(kept, language)),
    ):
        text = with_part(text, name, content)
    return text


def with_brief(text: str, kept: Measured, language: str) -> str:
    """A README with its rows."""
    return with_part(text, "speed", brief(kept, language))


def write(kept: Measured) -> None:
    """All pages, and the plot."""
    for files, fill in ((PAGES, filled), (READMES, with_brief)):
        for language, file in files.items():
            text = file.read_text(encoding="utf-8")
            file.write_text(fill(text, kept, language), encoding="utf-8")
    if "scaling" in kept:
        draw(kept["scaling"]["points"], PLOT)


def draw(points: Sequence[Measured], file: Path) -> None:
    """Seconds and memory over examples, both axes by powers of ten."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    file.parent.mkdir(exist_ok=True)
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "welltuned", "font.size": 9}):
        figure = Figure(figsize=(7.5, 2.8), layout="constrained")
        axes = figure.subplots(1, 2)
        for panel, (what, unit, label) in zip(
            axes, (("seconds", 1, "seconds"), ("bytes", 1e9, "memory, GB")), strict=True
        ):
            for name in sorted({one["strategy"] for one in points}):
                own = [one for one in points if one["strategy"] == name]
                numbers = [one["examples"] for one in own]
                panel.plot(numbers, [one[what] / unit for one in own], marker="o", label=name)
            panel.set(xscale="log", xlabel="examples", ylabel=label)
            panel.grid(alpha=0.3)
        axes[0].set_yscale("log")
        axes[1].set_ylim(bottom=0)
        axes[0].legend(frameon=False)
        figure.savefig(file, format="svg", metadata={"Date": None})
