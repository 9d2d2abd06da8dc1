"""What data cost by their size: memory, time to the first step, the rate of tokenisation.

    python benchmarks/large_data.py                         a table, for a terminal
    python benchmarks/large_data.py --write                 into docs/hard-data.md, with a plot
    python benchmarks/large_data.py --sizes 1000 10000      fewer texts
    python benchmarks/large_data.py --only groups           near-duplicates alone

Each size is a run in a process of its own, from its command on: made-up texts, a model of four
blocks that are 64 wide, twenty steps. Its memory is the most that the process held, files that are
mapped included. Files from 256 MiB on are kept on disk; `--on-disk` does so with all.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from marked import ROOT, as_table, pages, write_parts
from speed.limits import made_up, make_model
from speed.place import SPLITS, Place, circumstances, splits_of, timed, write_lines

KEPT = ROOT / "benchmarks/results/large_data.json"
PLOT = ROOT / "docs/assets/large-data.svg"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
_STEPS = 20
_ENGLISH = "texts|file|memory|reading, s|tokenising, s|texts/s|first step after, s|µs a text"
_CHINESE = "文本数|文件|内存|读取，秒|分词，秒|文本/秒|首步之前，秒|每条文本，微秒"
_HEADS = {"en": _ENGLISH.split("|"), "zh": _CHINESE.split("|")}
_GROUP_HEADS = {"en": ("texts", "seconds", "groups"), "zh": ("文本数", "秒", "组数")}


# --- In a process of its own -----------------------------------------------------------


def measured_run(options: argparse.Namespace) -> dict[str, Any]:
    """One run, and when it came where."""
    from welltuned.config import run_config_from
    from welltuned.data.storage import on_disk
    from welltuned.engines.events import Step
    from welltuned.training.observer import Observer
    from welltuned.training.preparation.data_cache import DataCache
    from welltuned.training.train import run_training

    if options.on_disk:
        on_disk.LARGE = 0

    class Watch(Observer):
        first: float | None = None

        def stepped(self, step: Step) -> None:
            self.first = self.first or time.time()

    class TimedCache(DataCache):
        seconds = 0.0

        def examples(self, *given: Any) -> Any:
            start = time.perf_counter()
            found = super().examples(*given)
            self.seconds += time.perf_counter() - start
            return found

    watch, cache = Watch(), TimedCache()
    run = run_training(run_config_from(json.loads(options.run)), watch, cache=cache)
    assert watch.first is not None
    return {
        "first_step": watch.first - options.began,
        "tokenising": cache.seconds,
        "reading": run.results["cost"]["phases"]["data"] - cache.seconds,
    }


# --- Sizes ------------------------------------------------------------------------------


def by_size(place: Place, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What runs take on so many texts, the fewest first."""
    model = make_model(place.folder / "tiny")
    texts = (json.loads(line)["text"] for line in splits_of(place.data)["train"][:2000])
    words = sorted({word for text in texts for word in text.split()})
    for name in ("validation", "test"):
        write_lines(place.folder / f"{name}.jsonl", made_up(words, 500, name))
    for size in sorted(options.sizes):
        train = place.folder / "train.jsonl"
        write_rows(train, words, size)
        values = {
            "model": str(model),
            "data": {name: str(place.folder / f"{name}.jsonl") for name in SPLITS},
            "strategy": "full",
            "task": {"pooling": "mean"},
            "training": {"max_steps": _STEPS, "learning_rate": 1e-3},
            "output_dir": str(place.run),
        }
        shutil.rmtree(place.run, ignore_errors=True)
        began = ["--run", json.dumps(values), "--began", str(time.time())]
        asked = ["--on-disk"] * options.on_disk
        taken = timed([sys.executable, __file__, *began, *asked], place)
        told = json.loads(taken.printed.splitlines()[-1])
        yield {"texts": size, "file": train.stat().st_size, "memory": taken.bytes, **told}


def write_rows(file: Path, words: list[str], number: int) -> None:
    """Rows as `made_up`, without holding them."""
    with file.open("w", encoding="utf-8") as out:
        for line in made_up(words, number, "train"):
            out.write(line + "\n")


def near_duplicates(sizes: Sequence[int]) -> Iterator[dict[str, Any]]:
    """How long it takes to group texts of forty words, every tenth of which is a near copy."""
    from welltuned.data.overlap.near_duplicates import Joined, join_near_duplicates

    rng = random.Random(0)
    words = [f"{rng.randrange(10**6):x}" for _ in range(20_000)]
    for size in sizes:
        texts = [" ".join(rng.choices(words, k=40)) for _ in range(size)]
        for i in range(0, size, 10):
            texts[i] = texts[i // 2] + " again"
        joined, start = Joined(size), time.perf_counter()
        join_near_duplicates(joined, texts)
        seconds = time.perf_counter() - start
        groups = len({joined.first(i) for i in range(size)})
        yield {"texts": size, "seconds": seconds, "groups": groups}


# --- Tables -----------------------------------------------------------------------------


def cells(row: dict[str, Any]) -> list[str]:
    both = row["reading"] + row["tokenising"]
    return [
        f"{row['texts']:,}",
        f"{row['file'] / 1e6:,.1f} MB",
        f"{row['memory'] / 1e9:.2f} GB",
        f"{row['reading']:.1f}",
        f"{row['tokenising']:.1f}",
        f"{row['texts'] / row['tokenising']:,.0f}",
        f"{row['first_step']:.1f}",
        f"{1e6 * both / row['texts']:,.0f}",
    ]


def group_cells(row: dict[str, Any]) -> list[str]:
    return [f"{row['texts']:,}", f"{row['seconds']:.1f}", f"{row['groups']:,}"]


def draw(rows: Sequence[dict[str, Any]], file: Path) -> None:
    """Costs of a text by their number, and memory, both axes logarithmic."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "welltuned", "font.size": 9}):
        figure, (costs, memory) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        sizes = [row["texts"] for row in rows]
        for name in ("reading", "tokenising"):
            each = [1e6 * row[name] / row["texts"] for row in rows]
            costs.plot(sizes, each, marker="o", label=name)
        costs.set(xscale="log", yscale="log", xlabel="texts", ylabel="microseconds a text")
        costs.legend(frameon=False)
        memory.plot(sizes, [row["memory"] / 1e9 for row in rows], marker="o", color="0.3")
        memory.axhline(4 * 2**30 / 1e9, linestyle=":", color="0.6")
        memory.set(xscale="log", xlabel="texts", ylabel="memory, GB", ylim=(0, 4.6))
        figure.savefig(file, format="svg", metadata={"Date": None})
        plt.close(figure)


def parts_of(kept: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The measured parts of the page, by name and language."""
    shown = {"en": "assets/large-data.svg", "zh": "../assets/large-data.svg"}
    versions = ", ".join(f"{name} {kept['versions'][name]}" for name in ("torch", "transformers"))
    said = f"{kept['cpu']}, {kept['cores']} × CPU; {versions}; {kept['date']}."
    sizes, groups = map(list, (map(cells, kept["sizes"]), map(group_cells, kept["groups"])))
    return {
        "sizes": {
            one: f"![]({shown[one]})\n\n{as_table(_HEADS[one], sizes)}\n\n{said}" for one in shown
        },
        "near-duplicates": {
            one: f"{as_table(_GROUP_HEADS[one], groups)}\n\n{said}" for one in shown
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--on-disk", action="store_true", help="texts and tokens of every size")
    parser.add_argument("--only", choices=("sizes", "groups"), help="one of the two tables")
    parser.add_argument("--write", action="store_true", help="put what is known into the documents")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print(json.dumps(measured_run(options)))
        return
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    kept |= circumstances()
    if options.only != "groups":
        with tempfile.TemporaryDirectory() as folder:
            kept["sizes"] = list(
                told(by_size(Place(Path(folder), options.data, 0), options), cells)
            )
    if options.only != "sizes":
        sizes = [size for size in options.sizes if size <= 100_000]
        kept["groups"] = list(told(near_duplicates(sizes), group_cells))
    if options.write:
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        draw(kept["sizes"], PLOT)
        for name, part in parts_of(kept).items():
            write_parts(pages("hard-data"), name, part)


def told(rows: Iterator[dict[str, Any]], shown: Any) -> Iterator[dict[str, Any]]:
    """The rows, each printed as it comes."""
    for row in rows:
        print("  ".join(shown(row)), flush=True)
        yield row


if __name__ == "__main__":
    main()
