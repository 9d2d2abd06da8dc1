"""The losses that `language_models.py` has both sides compute, and the rows they learn from."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speed.place import read_lines
from welltuned.data.batching import BatchPlan

BATCH, SEED = 4, 0
LONGEST = 400
"""Characters of a row at most: short rows, for many steps in little time."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """One loss that both sides know."""

    title: str
    source: str
    """The shared set its rows come from."""
    task: dict[str, object]
    """Ours, as a config writes it."""
    english: str
    """Where the definitions differ, if they do."""
    chinese: str
    peer: str = ""
    """What the peer calls it, if not by its name here."""
    plain: bool = True
    """Texts as they are, and not through the chat template."""
    draws: bool = False
    """Whether each side draws its own answers, so that rewards are told and not losses."""


_PAIRS = "pref_en_alpacaeval"
WORKS = {
    "sft": Work(
        "SFT, chat",
        "instruct_en_alpaca",
        {"type": "generation"},
        "TRL also learns the line break that the template writes after the end of the answer",
        "TRL 还学习模板在答案结束符之后写的换行",
        plain=False,
    ),
    "sft-plain": Work("SFT, plain", "instruct_en_alpaca", {"type": "generation"}, "", "", "sft"),
    "dpo": Work("DPO", _PAIRS, {"type": "preference", "loss": "sigmoid", "form": "plain"}, "", ""),
    "ipo": Work("IPO", _PAIRS, {"type": "preference", "loss": "ipo", "form": "plain"}, "", ""),
    "kto": Work(
        "KTO",
        _PAIRS,
        {"type": "kto", "form": "plain"},
        "the divergence is estimated by the answer to the next prompt, in TRL by that to the one "
        "before in its batch",
        "散度由下一个提示的回答估计，TRL 用同批中前一个提示的回答",
    ),
    "reward": Work(
        "Bradley-Terry",
        _PAIRS,
        {"type": "reward", "form": "plain", "center_rewards_coefficient": 0.0},
        "our head has a bias, and starts anew and small; TRL takes the one of the folder",
        "我们的输出头带偏置，从小的新值开始；TRL 用文件夹里的那个",
    ),
    "grpo": Work(
        "GRPO",
        "",
        {"type": "generation", "decoding": {"max_new_tokens": 8}},
        "mean rewards of the batches, each side of its own answers",
        "各批的平均奖励，两边各自抽样回答",
        draws=True,
    ),
}
ANSWERS, QUESTIONS = 8, 4
"""Of GRPO: answers to each question, and questions of a batch."""


# --- The rows ---------------------------------------------------------------------


def rows_of(name: str, folder: Path, number: int) -> list[Row]:
    """So many short rows, each prompt once, in the columns that both sides read."""
    by_prompt = {
        row["prompt"]: row
        for row in _given(name, folder)
        if sum(map(_size, row.values())) <= LONGEST
    }
    rows = list(by_prompt.values())[:number]
    if len(rows) < number:
        raise SystemExit(f"{name}: {len(rows)} rows of at most {LONGEST} characters, not {number}")
    return rows


def _given(name: str, folder: Path) -> Iterator[Row]:
    lines = read_lines(folder / WORKS[name].source / "train.jsonl")
    for i, given in enumerate(map(json.loads, lines)):
        if WORKS[name].task["type"] == "generation":
            asked = "\n\n".join(filter(None, (given["instruction"], given.get("input"))))
            yield {"prompt": asked + "\n" * WORKS[name].plain, "completion": given["output"]}
            continue
        prompt = given["prompt"].rstrip() + "\n"  # so that nobody's tokens reach over the seam
        if name == "kto":
            label = i % 2 == 0
            answer = given["chosen" if label else "rejected"]
            yield {"prompt": prompt, "completion": answer, "label": label}
        else:
            yield {"prompt": prompt, **{side: given[side] for side in ("chosen", "rejected")}}


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else 0


def as_ours(row: Row, plain: bool) -> Row:
    """A row as our files have it: a prompt with its completion is a conversation there, too."""
    if plain or set(row) != {"prompt", "completion"}:
        return row
    said = zip(("user", "assistant"), row.values(), strict=True)
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def in_our_order(rows: list[Row]) -> list[Row]:
    """The rows as our first epoch takes them, for a side that takes them as they come."""
    plan = BatchPlan(np.ones(len(rows)), BATCH, seed=SEED, by_length=False)
    return [rows[i] for step in plan.steps(0) for micro_batch in step for i in micro_batch]


def questions(number: int) -> list[Row]:
    """Prompts with an answer that can be checked: the middle one of three numbers."""
    rng = random.Random(SEED)
    threes = [rng.sample(range(10, 100), 3) for _ in range(number)]
    return [
        {"prompt": f"Middle of {', '.join(map(str, three))}:", "completion": f" {sorted(three)[1]}"}
        for three in threes
    ]
