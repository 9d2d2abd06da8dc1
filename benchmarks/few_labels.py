"""Few labels: contrastive fine-tuning beside SetFit, and beside plain strategies.

Of each shared set 8, 16, 32 and 64 texts of each label are drawn, ten times anew. On the same texts
each way trains a model as a whole process, from its command to the accuracy on the test split:

    contrastive  our `strategy: contrastive` at its defaults
    setfit       SetFit's own example, in an environment of its own (`make .venv-peers/ready`)
    full, head   our plain strategies at their defaults

None chooses by validation, for SetFit has none. all-MiniLM-L6-v2, one core for each.

    python benchmarks/few_labels.py --out benchmarks/results --write    # 36 hours of one core
    python benchmarks/few_labels.py --sets question_en_trec sentiment_en_mr --shots 8 16 \\
        --draws 2 --test 300 --out benchmarks/results                   # a quarter of an hour

What is done is kept draw by draw in few_labels.json, and gone on with. `--also NAME=WORDS` measures
one more way of ours: `--also "cosine=strategy=contrastive strategy.loss=cosine"`. `--write` puts
the table into docs/hard-data.md and its translation.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from marked import ROOT, as_table, pages, write_parts
from speed.place import (
    MODEL,
    PEER_PYTHON,
    Place,
    Taken,
    circumstances,
    model_folder,
    read_lines,
    script,
    timed,
    versions_of,
    welltuned,
    write_lines,
)

PAGES = pages("hard-data")
SETS = ("sentiment_en_mr", "sentiment_en_sst2", "question_en_trec", "topic_en_agnews")
TEXTS = {"topic_en_agnews": "description", "sentiment_en_sst2": "sentence"}
"""The column of the text, where it is called otherwise."""
SHOTS = (8, 16, 32, 64)
FEWEST = 3
"""Draws that have an interval; two say next to nothing of how they spread."""
OURS = {
    "contrastive": "strategy=contrastive",
    "full": "strategy=full",
    "head": "strategy=partial strategy.num_blocks=0",
}
PEER = "setfit"
ALONE = (
    "training.eval_strategy=no", "training.load_best_model_at_end=false",
    "evaluation.untrained=false", "evaluation.retention=none", "data.duplicates=keep",
)  # fmt: skip
"""What a script that only trains and tests does not do, either."""
Row = dict[str, str]
Done = dict[str, Any]
"""By `set/labels/draw/way` what one process came to: its accuracy and its seconds."""


# --- What is drawn ------------------------------------------------------------------------


def read(data: Path, name: str, split: str) -> list[Row]:
    """Texts and labels of a split, both as words."""
    file = next(iter(sorted((data / name).glob(f"{split}.*"))))
    rows: Iterable[dict[str, Any]]
    match file.suffix:
        case ".csv":
            rows = csv.DictReader(read_lines(file))
        case ".tsv":  # quotes are signs of the sentence there
            rows = csv.DictReader(read_lines(file), dialect="excel-tab", quoting=csv.QUOTE_NONE)
        case _:
            rows = map(json.loads, read_lines(file))
    column = TEXTS.get(name, "text")
    return [{"text": str(row[column]), "label": str(row["label"])} for row in rows]


def drawn(rows: Sequence[Row], shots: int, seed: int) -> list[Row]:
    """So many texts of each label, or all where there are fewer; each text once."""
    order = random.Random(seed).sample(range(len(rows)), len(rows))
    seen: dict[str, int] = {}
    chosen: dict[str, Row] = {}
    for row in (rows[i] for i in order):
        if seen.get(row["label"], 0) < shots and row["text"] not in chosen:
            seen[row["label"]] = seen.get(row["label"], 0) + 1
            chosen[row["text"]] = row
    return list(chosen.values())


def write_draw(data: Path, name: str, shots: int, draw: int, tested: int, folder: Path) -> None:
    """The files of a draw: the same for all ways."""
    known = {row["label"] for row in read(data, name, "train")}
    tests = [row for row in read(data, name, "test") if row["label"] in known]
    splits = {
        "train": drawn(read(data, name, "train"), shots, draw),
        "validation": drawn(read(data, name, "validation"), 4, 0),
        "test": random.Random(0).sample(tests, min(tested, len(tests))),
    }
    for split, rows in splits.items():
        write_lines(folder / f"{split}.jsonl", map(json.dumps, rows))


# --- What is measured ---------------------------------------------------------------------


def ours(words: str, place: Place) -> tuple[float, Taken]:
    """(accuracy, what it took) of a run of ours."""
    shutil.rmtree(place.run, ignore_errors=True)
    files = [f"data.{split}={place.folder / split}.jsonl" for split in _SPLITS]
    own = f"model={MODEL}", f"training.seed={place.seed}", f"output_dir={place.run}"
    taken = timed(welltuned("train", *files, *own, *ALONE, *words.split()), place)
    results = json.loads((place.run / "results.json").read_text(encoding="utf-8"))
    return results["test"]["accuracy"], taken


def theirs(shots: int, place: Place) -> tuple[float, Taken]:
    """The same of SetFit."""
    files = {name: place.folder / f"{name}.jsonl" for name in ("train", "test")}
    command = script(
        "setfit_trainer", model=model_folder(), **files, shots=shots, seed=place.seed, out=place.out
    )
    taken = timed(command, place)
    return json.loads(place.out.read_text(encoding="utf-8"))["accuracy"], taken


_SPLITS = ("train", "validation", "test")


def measured(asked: argparse.Namespace, done: Done) -> Iterator[str]:
    """Measure what is not done yet, and tell of it line by line."""
    ways = {**OURS, **dict(one.split("=", 1) for one in asked.also)}
    names = [way for way in [*ways, PEER] if asked.ways is None or way in asked.ways]
    if PEER in names and not PEER_PYTHON.exists():
        yield "SetFit is left out, for the peers have no environment: make .venv-peers/ready"
        names.remove(PEER)
    for draw, name, shots in product(range(asked.draws), asked.sets, asked.shots):
        missing = [way for way in names if f"{name}/{shots}/{draw}/{way}" not in done]
        with tempfile.TemporaryDirectory() as folder:
            place = Place(Path(folder), asked.shared / "data", 0, seed=draw)
            if missing:
                write_draw(place.data, name, shots, draw, asked.test, place.folder)
            for way in missing:
                score, taken = theirs(shots, place) if way == PEER else ours(ways[way], place)
                found = {"accuracy": score, "seconds": taken.seconds, "cpu": taken.cpu_seconds}
                done[f"{name}/{shots}/{draw}/{way}"] = found
                yield f"{name} {shots} draw {draw} {way}: {score:.3f} in {taken.seconds:.1f} s"


# --- What is told -------------------------------------------------------------------------


def values(done: Done, name: str, shots: int, way: str, what: str = "accuracy") -> dict[int, float]:
    """By draw."""
    found: dict[int, float] = {}
    for key, one in done.items():
        its_set, its_shots, draw, its_way = key.split("/")
        if (its_set, int(its_shots), its_way) == (name, shots, way):
            found[int(draw)] = one[what]
    return found


def interval(numbers: Sequence[float]) -> tuple[float, float]:
    """The 95% interval of a mean by Student's t, which is honest about a handful of draws."""
    numbers_N = np.asarray(numbers)
    half = stats.t.ppf(0.975, len(numbers_N) - 1) * stats.sem(numbers_N)
    return float(numbers_N.mean() - half), float(numbers_N.mean() + half)


def mean_of(numbers: Sequence[float], form: str = ".3f") -> str:
    """`0.812 [0.801, 0.823]`; of fewer draws than three there is no interval."""
    if not numbers:
        return "–"
    told = f"{statistics.mean(numbers):{form}}"
    if len(numbers) < FEWEST:
        return told
    low, high = interval(numbers)
    return f"{told} [{low:{form}}, {high:{form}}]"


def ahead_of(done: Done, name: str, shots: int, other: str) -> list[float]:
    """How far contrast is ahead of another way on each draw that both have."""
    one, beside = (values(done, name, shots, way) for way in ("contrastive", other))
    return [one[draw] - beside[draw] for draw in sorted(one.keys() & beside.keys())]


def difference(numbers: Sequence[float]) -> str:
    """In points of accuracy, with its interval."""
    return mean_of([100 * number for number in numbers], "+.1f")


def cells(done: Done, name: str, shots: int) -> list[str]:
    """A set's row of one number of labels."""
    ways = [list(values(done, name, shots, way).values()) for way in (*OURS, PEER)]
    seconds = [values(done, name, shots, way, "cpu") for way in ("contrastive", PEER)]
    took = " / ".join(f"{statistics.median(s.values()):.0f}" if s else "–" for s in seconds)
    ahead = [difference(ahead_of(done, name, shots, way)) for way in (PEER, "full")]
    return [f"`{name}`", str(shots), *map(mean_of, ways), *ahead, took]


def over_sets(done: Done, shots: int) -> list[str]:
    """How far contrast is ahead over all sets of one number of labels: each draw's mean."""
    return [difference(_each_draw(done, shots, way)) for way in (PEER, "full")]


def _each_draw(done: Done, shots: int, way: str) -> list[float]:
    found = [ahead_of(done, name, shots, way) for name in _sets(done, shots)]
    counts = [len(one) for one in found]
    return (
        [] if not all(counts) else np.mean([one[: min(counts)] for one in found], axis=0).tolist()
    )


def _sets(done: Done, shots: int) -> list[str]:
    """Those that were measured with so many labels."""
    keys = (key.split("/") for key in done)
    return list(dict.fromkeys(name for name, its_shots, *_ in keys if int(its_shots) == shots))


HEADS = {
    "en": ["set", "labels each", "contrastive", "full", "head", "SetFit", "ahead of SetFit",
           "ahead of full", "processor seconds, ours / SetFit"],
    "zh": ["数据集", "每类标签数", "contrastive", "full", "head", "SetFit", "领先 SetFit",
           "领先 full", "处理器秒，我们 / SetFit"],
}  # fmt: skip
EVERY = {"en": "all sets", "zh": "全部数据集"}


def table(record: dict[str, Any], language: str) -> str:
    """All sets, by the number of labels; below each number its mean over the sets, if several."""
    done, rows = record["done"], []
    for shots in sorted({int(key.split("/")[1]) for key in done}):
        names = _sets(done, shots)
        rows += [cells(done, name, shots) for name in names]
        if len(names) > 1:
            rows.append([EVERY[language], str(shots), *["–"] * 4, *over_sets(done, shots), "–"])
    measured_with = record["with"]
    versions = versions_of(measured_with)
    stop, dot = ("；", "。") if language == "zh" else ("; ", ".")
    where = stop.join([measured_with["cpu"], versions, measured_with["date"]]) + dot
    return f"{as_table(HEADS[language], rows, left=2)}\n\n{where}"


# --- From the command line ----------------------------------------------------------------


def main() -> None:
    asked = arguments()
    file = None if asked.out is None else asked.out / "few_labels.json"
    record: dict[str, Any] = {"with": circumstances(), "done": {}}
    if file is not None and file.exists():
        record["done"] = json.loads(file.read_text(encoding="utf-8"))["done"]
    for line in measured(asked, record["done"]):
        print(line, flush=True)
        if file is not None:
            file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record, "en"))
    if asked.write:
        write_parts(PAGES, "few labels", {language: table(record, language) for language in PAGES})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--shots", nargs="+", type=int, default=list(SHOTS))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--ways", nargs="+", default=None, help=f"some of {[*OURS, PEER]}")
    parser.add_argument("--also", nargs="+", default=[], help="one more way of ours: NAME=WORDS")
    parser.add_argument("--test", type=int, default=700, help="test texts at most")
    parser.add_argument("--out", type=Path, default=None, help="a folder for few_labels.json")
    parser.add_argument("--write", action="store_true", help="put the table into the documents")
    return parser.parse_args()


if __name__ == "__main__":
    main()
