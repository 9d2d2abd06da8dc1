"""A tiny finished run of every task, made on first use, and what it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support import make_preferences, make_rows, short_tune, write_rows
from welltuned.runs import Run

TASKS = (
    "single",
    "pairs",
    "multi",
    "number",
    "tags",
    "generation",
    "chat",
    "reward",
    "preference",
)
_SHORT = {"max_new_tokens": 6}


def questions(task: str, number: int = 7) -> list[Any]:
    """Inputs of unequal lengths, some of them too long for the run."""
    rows = make_rows(number, seed=9, pair=True)
    rows[2]["text"] = " ".join(["good film"] * 40)
    if task == "pairs":
        return [(row["text"], row["text_pair"]) for row in rows]
    if task == "reward":
        return [(row["prompt"], row["chosen"]) for row in make_preferences(number, seed=9)]
    if task == "chat":
        return [[{"role": "user", "content": row["text"]}] for row in rows]
    if task == "tags":
        return [row["text"].split() for row in rows]
    return [row["text"] for row in rows]


def _data(task: str) -> list[dict[str, Any]]:
    rows = make_rows(60, pair=task == "pairs")
    for i, row in enumerate(rows):
        if task == "multi":
            row["labels"] = [row.pop("label"), *(["third"] if i % 3 else [])]
        elif task == "number":
            row["label"] = 2.5 * (i % 2) + 0.01 * i
        elif task == "tags":
            row["words"] = row.pop("text").split()
            row["tags"] = ["B-GOOD" if word == "good" else "O" for word in row["words"]]
            del row["label"]
        elif task == "chat":
            said = zip(("user", "assistant"), (row["text"], row["label"]), strict=True)
            row["messages"] = [{"role": role, "content": text} for role, text in said]
        if task in ("generation", "chat"):
            del row["label"]
        if task == "chat":
            del row["text"]
    return make_preferences(60) if task in ("reward", "preference") else rows


_CONFIGS: dict[str, Any] = {
    "single": {"pooling": "mean"},
    "pairs": {"pooling": "mean"},
    "multi": {"pooling": "mean", "max_length": 24},
    "number": {"type": "classification", "pooling": "mean", "problem": "regression"},
    "tags": {"type": "token_classification", "max_length": 24},
    "generation": {"type": "generation", "decoding": _SHORT, "scored_examples": 2},
    "chat": {"type": "generation", "decoding": _SHORT, "scored_examples": 2},
    "reward": {"type": "reward"},
    "preference": {"type": "preference", "decoding": _SHORT, "scored_examples": 2},
}


def material(
    task: str, folder: Path, tiny: Callable[..., str], causal: Callable[..., str]
) -> tuple[str, str, dict[str, Any]]:
    """(model, data, config of the task) that a run of it is made from."""
    writes = task in ("generation", "chat", "preference")
    data = write_rows(folder / f"{task}.jsonl", _data(task))
    return causal("llama") if writes else tiny("bert"), data, _CONFIGS[task]


@pytest.fixture(scope="session")
def answering(
    tiny: Callable[..., str], causal: Callable[..., str], built_once: Callable[..., Path]
) -> Callable[[str], Run]:
    """`answering("pairs")`: a finished run of a task. To be read, not changed."""

    def make(task: str) -> Run:
        def build(folder: Path) -> None:
            model, data, config = material(task, folder, tiny, causal)
            short_tune(model, data, {"type": "full"}, folder / "run", task=config)

        return Run(built_once(f"answering-{task}", build) / "run")

    return make
