"""How often do intervals of a cross-validation cover, beside those that know nothing of folds?

Simulated scores: examples that vary as those of an accuracy of 0.8 do, and training sets that are
worth more or less by so many points. Training sets of k folds are alike by 1/k, as the corrected
t test takes it (Nadeau & Bengio 2003). Prints the table of docs/cross-validation.md.

    python benchmarks/fold_intervals.py --write
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import t

from marked import as_table, pages, write_parts
from welltuned.metrics.folds import FoldStatistic, widening

DEVIATION = 0.4
"""Of one example, right or wrong with an accuracy of 0.8."""
NUMBERS = (100, 200, 1000)
TRAINING_SETS = (0.0, 0.02, 0.04, 0.08)
HEADS = {
    "en": ["examples", "training sets, points", "examples alone", "ours", "corrected t test"],
    "zh": ["样本", "训练集，百分点", "只看样本", "我们的", "校正的 t 检验"],
}


def simulate(
    number: int, folds: int, deviation: float, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(what each of N examples adds to the error of the score, the fold of each)."""
    folds_N = np.repeat(np.arange(folds), number // folds)
    shared = random.normal(0, deviation * np.sqrt(1 / folds))
    own_K = random.normal(0, deviation * np.sqrt(1 - 1 / folds), folds)
    return shared + own_K[folds_N] + random.normal(0, DEVIATION, number), folds_N


def half_widths(values_N: np.ndarray, folds_N: np.ndarray) -> tuple[float, float, float]:
    """Of the interval by examples alone, of ours, and of the corrected t test."""
    influence_N, number = values_N - values_N.mean(), len(values_N)
    examples = float(t.ppf(0.975, number - 1) * np.sqrt(influence_N.var() / number))
    part = FoldStatistic.of(influence_N, folds_N)
    folds = len(part.effects_K)
    corrected = (1 / folds + 1 / (folds - 1)) * part.effects_K.var(ddof=1)
    tested = float(t.ppf(0.975, part.degrees) * np.sqrt(corrected))
    return examples, examples * widening(influence_N, folds_N), tested


def row(number: int, deviation: float, options: argparse.Namespace) -> list[str]:
    """Shares of intervals that cover, and their mean half widths."""
    random, covered, widths = np.random.default_rng(0), [], []
    for _ in range(options.repeats):
        values_N, folds_N = simulate(number, options.folds, deviation, random)
        halves = half_widths(values_N, folds_N)
        widths.append(halves)
        covered.append([abs(values_N.mean()) < half for half in halves])
    told = [
        f"{share:.2f} (±{half:.3f})"
        for share, half in zip(np.mean(covered, axis=0), np.mean(widths, axis=0), strict=True)
    ]
    return [f"{number:,}", f"{100 * deviation:g}", *told]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=4000, help="cross-validations of each row")
    parser.add_argument("--write", action="store_true", help="put the table into the documents")
    options = parser.parse_args()
    rows = [row(number, extra, options) for number in NUMBERS for extra in TRAINING_SETS]
    tables = {language: as_table(head, rows) for language, head in HEADS.items()}
    print(tables["en"])
    if options.write:
        write_parts(pages("cross-validation"), "covered", tables)


if __name__ == "__main__":
    main()
