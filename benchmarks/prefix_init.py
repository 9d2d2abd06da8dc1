"""How prefixes should begin: with a training text, or with small noise?

For each set of `measure_defaults.py` one sweep over the two, everything else at its default;
scores are those of validation, the test split is not read. It may be stopped and goes on.

    python benchmarks/prefix_init.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure_defaults import KINDS, ROOT, Cell, config_of

KEY = "strategy.init"
STARTS = ["text", "random"]


def score(cell: Cell, options: argparse.Namespace) -> dict[str, float]:
    """The score of a set by how the prefix began."""
    from welltuned.experiments.search.config import SweepConfig
    from welltuned.experiments.search.sweep import run_sweep
    from welltuned.schema.validation import expand_shorthand

    values = config_of(cell, options, len(STARTS))
    values["sweep"]["space"] = {KEY: STARTS}
    run_sweep(SweepConfig.model_validate(expand_shorthand(SweepConfig, values)))
    summary = json.loads((options.runs / cell.name / "sweep.json").read_text(encoding="utf-8"))
    return {row["values"][KEY]: row["value"] for row in summary["trials"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", default="../shared", help="where data/ and models/ are")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "prefix-init")
    parser.add_argument("--examples", type=int, default=300, help="training examples of each set")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--steps", type=int, default=0, help="in place of the default epochs")
    options = parser.parse_args()
    print(f"{'kind':8} {'set':22} {'metric':8} {STARTS[0]:>8} {STARTS[1]:>8}")
    for kind in (KINDS[name] for name in options.kinds):
        for name in kind.sets:
            found = score(Cell(kind, "prefix", name, 0), options)
            scores = " ".join(f"{found[start]:8.3f}" for start in STARTS)
            print(f"{kind.name:8} {name:22} {kind.metric:8} {scores}", flush=True)


if __name__ == "__main__":
    main()
