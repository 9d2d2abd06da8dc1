"""Verdicts on simulated comparisons: do intervals cover, and what does the rule give away?

    python benchmarks/verdicts.py run      simulate, print the tables, keep their numbers
    python benchmarks/verdicts.py write    put them into docs/comparisons.md and its Chinese twin

Strategies are planted: each has a true accuracy, a variance from seed to seed, and a cost. What
makes a test example hard is shared by all of them, so that two strategies differ on about 14
examples of 100 and two seeds of one on about 11, as tuned encoders do. Comparisons of them are
judged by the code that judges real ones.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from scipy import stats

from marked import ROOT, as_table, pages, with_part, write_parts
from welltuned.experiments.comparison.verdict.elimination import FIRST_LOOK, dropped, is_settled
from welltuned.experiments.comparison.verdict.posterior import standings
from welltuned.experiments.comparison.verdict.recommendation import SURE, eligible
from welltuned.experiments.comparison.verdict.scores import ResampledScore
from welltuned.experiments.comparison.verdict.seed_variance import score_interval, seed_variances
from welltuned.runs.comparison_schema import StandingRecord

RESULTS = ROOT / "benchmarks/results/verdicts.json"
PAGES = pages("comparisons")

SEEDS = (2, 3, 5)
EXAMPLES = (200, 1000, 5000)
GAPS = (0.0, 0.01, 0.02, 0.05)
STRATEGIES = 6
ROUNDS = 5
ADAPTIVE_GAPS = (0.0, 0.02, 0.05, 0.10)
TOLERANCE = 0.01
SEED_DEVIATIONS = (0.004, 0.008)
"""Of the steadier half of the strategies, and of the others: variances differ by four times."""
HARD, OWN, NOISE = 1.6, 0.7, 0.9
"""Of an answer: what all strategies share of an example, what a strategy does, and a seed alone."""
_RESAMPLES = 400


@dataclass(frozen=True)
class World:
    """A comparison of strategies whose truth is known, the cheapest one first."""

    truth_K: np.ndarray
    deviation_K: np.ndarray
    seeds: int
    examples: int

    def scored(self, random: np.random.Generator) -> dict[str, ResampledScore]:
        """What is measured of it."""
        return scores_of(list(self.answers(random)), random)

    def answers(self, random: np.random.Generator) -> np.ndarray:
        """Which are right, as 0 or 1 (K, S, N)."""
        shape = len(self.truth_K), self.seeds, self.examples
        shared_N = random.normal(0, HARD, self.examples)
        own_K1N = random.normal(0, OWN, (shape[0], 1, self.examples))
        by_seed_KS = random.normal(0, 1, shape[:2]) * self.deviation_K[:, None]
        accuracy_KS1 = (self.truth_K[:, None] + by_seed_KS).clip(0.01, 0.99)[:, :, None]
        level_KS1 = stats.norm.ppf(accuracy_KS1) * np.sqrt(HARD**2 + OWN**2 + NOISE**2)
        found: np.ndarray = level_KS1 + shared_N + own_K1N + random.normal(0, NOISE, shape)
        return (found > 0).astype(float)


def scores_of(
    right_K: Sequence[np.ndarray], random: np.random.Generator
) -> dict[str, ResampledScore]:
    """Scores from the answers (S, N) of each strategy, with resamples of the examples.

    Of a mean these are normal, so they are drawn from that.
    """
    influence_K = [right_SN - right_SN.mean(axis=1, keepdims=True) for right_SN in right_K]
    mean_KN = np.stack([influence_SN.mean(axis=0) for influence_SN in influence_K])
    covariance_KK = mean_KN @ mean_KN.T / mean_KN.shape[1] ** 2
    noise_RK = random.multivariate_normal(np.zeros(len(mean_KN)), covariance_KK, _RESAMPLES)
    found = {}
    for k, (right_SN, influence_SN) in enumerate(zip(right_K, influence_K, strict=True)):
        values_S = right_SN.mean(axis=1)
        found[f"s{k}"] = ResampledScore(values_S, values_S.mean() + noise_RK[:, k], influence_SN)
    return found


def world(
    random: np.random.Generator, gap: float, seeds: int, examples: int, ratio: float = 4.0
) -> World:
    """One strategy is the best, whichever; all others are `gap` below it."""
    truth_K = np.full(STRATEGIES, 0.85 - gap)
    truth_K[random.integers(STRATEGIES)] = 0.85
    deviation_K = np.where(np.arange(STRATEGIES) % 2, 1.0, np.sqrt(ratio)) * SEED_DEVIATIONS[0]
    return World(truth_K, random.permutation(deviation_K), seeds, examples)


# --- Coverage ----------------------------------------------------------------------------


def coverage(times: int) -> list[dict[str, Any]]:
    """How often a strategy's 95% interval holds its true score, by seeds, examples and ratio."""
    rows = []
    for ratio in (1.0, 4.0):
        for seeds in SEEDS:
            for examples in EXAMPLES:
                random = np.random.default_rng([seeds, examples, int(ratio)])
                held, width = [], []
                for _ in range(times):
                    one = world(random, 0.01, seeds, examples, ratio)
                    scored = one.scored(random)
                    found = seed_variances(scored)
                    bounds = [score_interval(scored[name], found[name]) for name in scored]
                    held += [
                        low <= true <= high
                        for (low, high), true in zip(bounds, one.truth_K, strict=True)
                    ]
                    width += [high - low for low, high in bounds]
                where = {"ratio": ratio, "seeds": seeds, "examples": examples}
                rows.append({**where, "covered": np.mean(held), "width": np.median(width)})
    return rows


# --- Regret ------------------------------------------------------------------------------

Rule = Callable[[dict[str, ResampledScore]], tuple[int, bool]]
"""The number of the strategy that is taken, and whether it was shown to be as good."""


def best_mean(scored: dict[str, ResampledScore]) -> tuple[int, bool]:
    """Whoever came out on top."""
    return int(np.argmax([score.mean for score in scored.values()])), False


def not_worse(scored: dict[str, ResampledScore]) -> tuple[int, bool]:
    """The cheapest that is not significantly worse than the best, by its own two or three seeds."""
    parts = list(scored.values())
    best, _ = best_mean(scored)
    for k, score in enumerate(parts):
        if k == best:
            break
        examples = float((score.resampled_R - parts[best].resampled_R).var(ddof=1))
        by_seed = [part.values_S.var(ddof=1) / part.seeds for part in (score, parts[best])]
        variances = np.array([examples, *by_seed])
        known = np.array([score.examples - 1, *[score.seeds - 1] * 2])
        freedom = variances.sum() ** 2 / (variances**2 / known).sum()
        limit = stats.t.isf(0.025 / (len(parts) - 1), freedom) * np.sqrt(variances.sum())
        if parts[best].mean - score.mean <= limit:
            return k, False
    return best, False


def non_inferior(scored: dict[str, ResampledScore]) -> tuple[int, bool]:
    """The rule of `welltuned compare`."""
    seeds = seed_variances(scored)
    found = [asdict(one) for one in standings(scored, seeds, TOLERANCE, 2 * TOLERANCE)]
    names = eligible(cast(list[StandingRecord], found), TOLERANCE)
    chosen = min(int(name[1:]) for name in names)
    return chosen, any(one["within"] >= SURE for one in found)


RULES: dict[str, Rule] = {
    "best mean": best_mean,
    "not shown to be worse": not_worse,
    "non-inferior": non_inferior,
}


def regret(times: int) -> list[dict[str, Any]]:
    """What each rule gives away in points, and what it costs, by seeds, examples and gap."""
    cost_K = 2.0 ** np.arange(STRATEGIES)
    rows = []
    for gap in GAPS:
        for seeds in SEEDS:
            for examples in EXAMPLES:
                random = np.random.default_rng([seeds, examples, int(1000 * gap)])
                lost: dict[str, list[float]] = {name: [] for name in RULES}
                cost: dict[str, list[float]] = {name: [] for name in RULES}
                shown: list[float] = []
                for _ in range(times):
                    one = world(random, gap, seeds, examples)
                    scored = one.scored(random)
                    for name, rule in RULES.items():
                        k, sure = rule(scored)
                        lost[name].append(float(one.truth_K.max() - one.truth_K[k]))
                        cost[name].append(cost_K[k])
                        if sure:
                            shown.append(lost[name][-1])
                rows.append(
                    {
                        "gap": gap,
                        "seeds": seeds,
                        "examples": examples,
                        "regret": {name: float(np.mean(found)) for name, found in lost.items()},
                        "beyond": {
                            name: float(np.mean(np.array(found) > TOLERANCE + 1e-9))
                            for name, found in lost.items()
                        },
                        "cost": {name: float(np.mean(found)) for name, found in cost.items()},
                        "shown": len(shown) / times,
                        "shown_beyond": float(np.mean(np.array(shown) > TOLERANCE + 1e-9))
                        if shown
                        else None,
                    }
                )
    return rows


# --- Elimination -------------------------------------------------------------------------


def elimination(times: int) -> list[dict[str, Any]]:
    """How many cells are saved by dropping strategies on the way, and how often the best is."""
    rows = []
    for gap in ADAPTIVE_GAPS:
        for examples in EXAMPLES:
            random = np.random.default_rng([examples, int(1000 * gap)])
            found = [_eliminate(world(random, gap, ROUNDS, examples), random) for _ in range(times)]
            saved, lost, held = (np.concatenate(part) for part in zip(*found, strict=True))
            means = {"saved": saved.mean(), "best_dropped": lost.mean(), "covered": held.mean()}
            rows.append({"gap": gap, "examples": examples, **means})
    return rows


def _eliminate(one: World, random: np.random.Generator) -> tuple[list[float], ...]:
    """(the share of cells saved, whether the best is dropped, which intervals hold the truth)."""
    right_KSN = one.answers(random)
    seeds = np.full(len(right_KSN), FIRST_LOOK)
    for taken in range(FIRST_LOOK, ROUNDS + 1):
        scored = scores_of([right[:n] for right, n in zip(right_KSN, seeds, strict=True)], random)
        variances = seed_variances(scored)
        placed = [asdict(s) for s in standings(scored, variances, TOLERANCE, 2 * TOLERANCE)]
        gone = dropped(cast(list[StandingRecord], placed), ROUNDS)
        if taken == ROUNDS or is_settled(cast(list[StandingRecord], placed), gone):
            break
        in_question = [f"s{k}" not in gone and seeds[k] == taken for k in range(len(seeds))]
        seeds += np.array(in_question)
    bounds = [score_interval(scored[name], variances[name]) for name in scored]
    held = [low <= true <= high for (low, high), true in zip(bounds, one.truth_K, strict=True)]
    best = f"s{one.truth_K.argmax()}"
    return [1 - seeds.sum() / right_KSN[:, :, 0].size], [float(best in gone)], held


# --- Tables ------------------------------------------------------------------------------

HEADS = {
    "en": {
        "coverage": ["variances", "seeds", "test examples", "covered", "width"],
        "regret": ["gap", "seeds", "test examples", "regret: best mean", "not shown to be worse",
                   "non-inferior", "beyond the tolerance: best mean", "not shown to be worse",
                   "non-inferior", "shown", "of these beyond", "cost: best mean", "non-inferior"],
        "equal": "equal", "differ": "differ by 4×",
        "elimination": ["gap", "test examples", "cells saved", "best dropped", "covered"],
    },
    "zh": {
        "coverage": ["方差", "种子", "测试样本", "覆盖率", "宽度"],
        "regret": ["差距", "种子", "测试样本", "遗憾：取均值最高", "未证实更差", "非劣",
                   "超出容差：取均值最高", "未证实更差", "非劣", "已证实", "其中超出",
                   "代价：取均值最高", "非劣"],
        "equal": "相等", "differ": "相差 4 倍",
        "elimination": ["差距", "测试样本", "省下的单元", "最佳者被放弃", "覆盖率"],
    },
}  # fmt: skip


def tables(found: dict[str, Any], language: str) -> str:
    """All tables, in points."""
    head: Any = HEADS[language]
    covered = [
        [
            head["equal"] if row["ratio"] == 1 else head["differ"],
            row["seeds"],
            f"{row['examples']:,}",
            f"{row['covered']:.1%}",
            f"{100 * row['width']:.1f}",
        ]
        for row in found["coverage"]
    ]
    lost = [
        [
            f"{100 * row['gap']:.0f}",
            row["seeds"],
            f"{row['examples']:,}",
            *[f"{100 * row['regret'][name]:.2f}" for name in RULES],
            *[f"{row['beyond'][name]:.0%}" for name in RULES],
            f"{row['shown']:.0%}",
            "" if row["shown_beyond"] is None else f"{row['shown_beyond']:.0%}",
            *[f"{row['cost'][name]:.1f}" for name in ("best mean", "non-inferior")],
        ]
        for row in found["regret"]
    ]
    saved = [
        [
            f"{100 * row['gap']:.0f}",
            f"{row['examples']:,}",
            *[f"{row[name]:.1%}" for name in ("saved", "best_dropped", "covered")],
        ]
        for row in found["elimination"]
    ]
    parts = {"coverage": covered, "regret": lost, "elimination": saved}
    return "\n\n".join(as_table(head[name], rows) for name, rows in parts.items())


def with_tables(page: str, found: dict[str, Any], language: str) -> str:
    """The page with these tables between its marks."""
    return with_part(page, "verdicts", tables(found, language))


def write() -> None:
    """Put the numbers that were kept into the pages."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    write_parts(PAGES, "verdicts", {language: tables(found, language) for language in PAGES})


def run(times: int) -> None:
    found = {
        "times": times,
        "coverage": coverage(times),
        "regret": regret(times),
        "elimination": elimination(times),
    }
    RESULTS.write_text(json.dumps(found, indent=1, default=float) + "\n", encoding="utf-8")
    print(tables(found, "en"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["run", "write"])
    parser.add_argument("--times", type=int, default=200, help="comparisons of each kind")
    asked = parser.parse_args()
    run(asked.times) if asked.what == "run" else write()


if __name__ == "__main__":
    main()
