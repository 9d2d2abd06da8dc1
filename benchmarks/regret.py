"""How far the default of each strategy is from the best value of each set.

Reads benchmarks/results/defaults.json (written by measure_defaults.py) and the defaults that are
in force. Three figures for each strategy and set, in points of accuracy (encoders) or in
hundredths of the loss (decoders):

    now      the best value of the set less the default
    chosen   the same for the value that holds across sets
    held out the same for the value that the other sets would have chosen: what a new set gets

    python benchmarks/regret.py [--target 1.5] [--parameter head_learning_rate_scale]

Exit status 1 when a strategy's default lies further from a set's best than the target.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parent))

from measure_defaults import (
    DEFAULTS,
    KINDS,
    PARAMETERS,
    RESULTS,
    Scores,
    choose,
    default_of,
    means,
)


def regret_at(scores: dict[float, float | None], rate: float, maximize: bool) -> float:
    """What is lost against the set's best rate.

    Between rates that were measured the score is interpolated over the logarithm of the rate;
    beyond them, beside one that diverged and where all did, the regret is not known (nan).
    """
    sign = 1 if maximize else -1
    known = {r: sign * value for r, value in scores.items() if value is not None}
    best = max(known.values(), default=math.nan)
    if rate in known:
        return best - known[rate]
    below = [r for r in scores if r < rate]
    above = [r for r in scores if r > rate]
    if not below or not above or max(below) not in known or min(above) not in known:
        return math.nan
    low, high = max(below), min(above)
    share = math.log(rate / low) / math.log(high / low)
    return best - ((1 - share) * known[low] + share * known[high])


def held_out(scores: Scores, name: str, maximize: bool) -> float:
    """The regret on a set of the rate that the other sets choose; nan where they choose none."""
    others = {other: by_rate for other, by_rate in scores.items() if other != name}
    rate = choose(others, maximize) if others else None
    return math.nan if rate is None else regret_at(scores[name], rate, maximize)


def rows(record: dict[str, Any], defaults: dict[str, Any], parameter: str) -> list[dict[str, Any]]:
    """One row for each kind, strategy and set that was measured."""
    found = []
    for name, by_strategy in record["measured"].items():
        kind = KINDS[name]
        maximize = kind.metric != "loss"
        for strategy, by_set in by_strategy.items():
            scores = means(by_set, list(by_set))
            rate = default_of(defaults, kind, strategy, parameter)
            best = choose(scores, maximize)
            for each, by_rate in scores.items():
                chosen = math.nan if best is None else regret_at(by_rate, best, maximize)
                found.append(
                    {
                        "kind": name,
                        "strategy": strategy,
                        "set": each,
                        "default": rate,
                        "now": 100 * regret_at(by_rate, rate, maximize),
                        "rate": best,
                        "chosen": 100 * chosen,
                        "held_out": 100 * held_out(scores, each, maximize),
                    }
                )
    return found


def markdown(found: list[dict[str, Any]]) -> str:
    """The table of docs/sweeps.md: a strategy's defaults and their worst regrets."""
    lines = []
    for strategy in dict.fromkeys(row["strategy"] for row in found):
        columns = [strategy]
        for kind, regrets in (("encoder", ("now", "held_out")), ("decoder", ("now",))):
            of = [row for row in found if (row["kind"], row["strategy"]) == (kind, strategy)]
            columns.append(f"{of[0]['default']:g}" if of else "—")
            for name in regrets:
                worst = max((row[name] for row in of), default=math.nan)
                columns.append("—" if math.isnan(worst) else f"{worst:.1f}")
        lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--parameter", choices=list(PARAMETERS), default="learning_rate")
    parser.add_argument("--target", type=float, default=1.5, help="points of accuracy")
    parser.add_argument("--markdown", action="store_true", help="print the documents' table alone")
    options = parser.parse_args()
    record = json.loads(options.results.read_text(encoding="utf-8"))[options.parameter]
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    found = rows(record, defaults, options.parameter)
    if options.markdown:
        print(markdown(found))
        return
    print(
        f"{'kind':8} {'strategy':8} {'set':22} {'default':>8} {'now':>6} "
        f"{'rate':>8} {'chosen':>6} {'held out':>8}"
    )
    worst: float | None = None
    for row in found:
        rate = "" if row["rate"] is None else f"{row['rate']:g}"
        print(
            f"{row['kind']:8} {row['strategy']:8} {row['set']:22} {row['default']:8g} "
            f"{row['now']:6.2f} {rate:>8} {row['chosen']:6.2f} {row['held_out']:8.2f}"
        )
        if row["kind"] == "encoder":
            worst = max(worst or 0.0, math.inf if math.isnan(row["now"]) else row["now"])
    if worst is None:
        sys.exit("no encoder was measured")
    print(f"worst regret of a default on an encoder: {worst:.2f} points (target {options.target})")
    sys.exit(0 if worst <= options.target else 1)


if __name__ == "__main__":
    main()
