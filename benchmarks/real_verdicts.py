"""What the rule gives away on comparisons that were made: their stored answers, cut in two.

    python benchmarks/real_verdicts.py run comparisons/sentiment_en_mr …   judge, keep the numbers
    python benchmarks/real_verdicts.py write    put them into docs/comparisons.md and its twin

Each time some seeds and test examples of a comparison are drawn, every rule chooses by these
alone, and what it takes is scored by accuracy on the seeds and examples that it has not seen.
Regret is how far, in points, that lies below the strategy with the best accuracy over everything;
chance puts it below zero at times. The mean of it compares rules; no truth is planted here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from marked import ROOT, as_table, pages, write_parts
from verdicts import RULES, scores_of
from welltuned.experiments.comparison.verdict.cost import known
from welltuned.runs.comparison_folder import Comparison

RESULTS = ROOT / "benchmarks/results/real_verdicts.json"
PAGES = pages("comparisons")
EXAMPLES = (100, 200, 400)
"""Test examples to judge by, at most so many shares of those that are there."""
MOST = 0.6


@dataclass(frozen=True)
class Answers:
    """What a comparison's strategies answered, the cheapest strategy first."""

    name: str
    right_KSN: np.ndarray
    """1 where strategy k with seed s is right about test example n, else 0."""
    cost_K: np.ndarray
    """Seconds of training."""

    @classmethod
    def of(cls, comparison: Comparison) -> Answers:
        """Of the strategies that have finished every seed."""
        rows = [row for row in comparison.results["rows"] if row["kind"] == "strategy"]
        most = max(len(row["seeds"]) for row in rows)
        whole = [row for row in rows if len(row["seeds"]) == most]
        whole.sort(key=lambda row: known(row["cost"]["train_seconds"]))
        right = [[_right(comparison, row["slug"], seed) for seed in row["seeds"]] for row in whole]
        cost = [known(row["cost"]["train_seconds"]) for row in whole]
        return cls(comparison.name, np.array(right), np.array(cost))


def _right(comparison: Comparison, slug: str, seed: int) -> list[float]:
    answers = comparison.cell(slug, seed).read_lines("predictions.jsonl")
    return [float(answer["prediction"] == answer["label"]) for answer in answers]


def judge(answers: Answers, seeds: int, examples: int, times: int) -> dict[str, Any]:
    """Mean regret, how often it is beyond the tolerance, and the seconds of what is taken."""
    random = np.random.default_rng([seeds, examples])
    strategies, all_seeds, number = answers.right_KSN.shape
    reference = int(answers.right_KSN.mean(axis=(1, 2)).argmax())
    lost: dict[str, list[float]] = {name: [] for name in RULES}
    cost: dict[str, list[float]] = {name: [] for name in RULES}
    for _ in range(times):
        shuffled_S, shuffled_N = random.permutation(all_seeds), random.permutation(number)
        seen = answers.right_KSN[:, shuffled_S[:seeds]][:, :, shuffled_N[:examples]]
        unseen = answers.right_KSN[:, shuffled_S[seeds:]][:, :, shuffled_N[examples:]]
        true_K = unseen.mean(axis=(1, 2))
        scored = scores_of(list(seen), random)
        for name, rule in RULES.items():
            taken, _shown = rule(scored)
            lost[name].append(float(true_K[reference] - true_K[taken]))
            cost[name].append(float(answers.cost_K[taken]))
    return {
        "set": answers.name,
        "strategies": strategies,
        "seeds": seeds,
        "examples": examples,
        "regret": {name: float(np.mean(found)) for name, found in lost.items()},
        "cost": {name: float(np.mean(found)) for name, found in cost.items()},
    }


def run(folders: Sequence[str], times: int) -> None:
    """Judge each comparison on all but one of its seeds, and print the table."""
    found = []
    for folder in folders:
        answers = Answers.of(Comparison.open(folder))
        _, seeds, number = answers.right_KSN.shape
        if seeds < 3:
            raise SystemExit(f"{folder}: needs three seeds or more, two to judge and one to check")
        for examples in EXAMPLES:
            if examples <= MOST * number:
                found.append(judge(answers, seeds - 1, examples, times))
                print(json.dumps(found[-1]), flush=True)
    RESULTS.write_text(
        json.dumps({"times": times, "regret": found}, indent=1) + "\n", encoding="utf-8"
    )


HEADS = {
    "en": ["set", "seeds", "test examples", "regret: best mean", "not shown to be worse",
           "non-inferior", "training, s: best mean", "not shown to be worse", "non-inferior"],
    "zh": ["数据集", "种子", "测试样本", "遗憾：取均值最高", "未证实更差", "非劣",
           "训练，秒：取均值最高", "未证实更差", "非劣"],
}  # fmt: skip


def table(found: dict[str, Any], language: str) -> str:
    """Regret in points, and what the taken strategy trains for."""
    rows = [
        [
            row["set"],
            row["seeds"],
            row["examples"],
            *[f"{100 * row['regret'][name]:.2f}" for name in RULES],
            *[f"{row['cost'][name]:.0f}" for name in RULES],
        ]
        for row in found["regret"]
    ]
    return as_table(HEADS[language], rows, left=1)


def write() -> None:
    """Put the numbers that were kept into the pages."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_parts(PAGES, "real verdicts", {language: table(found, language) for language in PAGES})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["run", "write"])
    parser.add_argument("folders", nargs="*", help="finished comparisons, for run")
    parser.add_argument("--times", type=int, default=200, help="draws of seeds and examples")
    asked = parser.parse_args()
    run(asked.folders, asked.times) if asked.what == "run" else write()


if __name__ == "__main__":
    main()
