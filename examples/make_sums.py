"""Writes the sums of `welltuned demo llm`: examples, preferences, prompts, and what is held out.

    python examples/make_sums.py welltuned/data/demo

No sum is in two of the files. Of the rejected answers half are wrong in the wanted form, and half
are right in words that nobody asked for.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

SIZES = {"sums_en": 160, "sums_pairs_en": 60, "sums_asked_en": 128, "sums_test_en": 64}
"""Rows by file."""
WORDY = (
    "Let me think about it. {question} The two numbers give {right}, if I am not mistaken.",
    "That is a good question! I would say that it comes to {right} in the end.",
    "{right} is what you get when you work it out step by step, one digit after the other.",
)


def sums(number: int, seed: int = 0) -> Iterator[tuple[str, int]]:
    """Questions with their results, of two digits each; no two alike."""
    rng, seen = random.Random(seed), set[str]()
    while len(seen) < number:
        one, other = rng.randint(10, 89), rng.randint(10, 89)
        if rng.random() < 0.5 and one + other < 100:
            question, right = f"What is {one} + {other}?", one + other
        elif one - other >= 10:
            question, right = f"What is {one} - {other}?", one - other
        else:
            continue
        if question not in seen:
            seen.add(question)
            yield question, right


def example(question: str, right: int) -> dict[str, str]:
    return {"instruction": question, "output": f"Answer: {right}"}


def pair(question: str, right: int, number: int) -> dict[str, str]:
    """The right answer in the wanted form beside a worse one."""
    wrong = right + (-10, -1, 1, 10)[number // 2 % 4]
    wordy = WORDY[number // 2 % len(WORDY)].format(question=question, right=right)
    rejected = f"Answer: {wrong}" if number % 2 else wordy
    return {"prompt": question, "chosen": f"Answer: {right}", "rejected": rejected}


def files() -> dict[str, list[dict[str, str]]]:
    """The rows of each file."""
    drawn = sums(sum(SIZES.values()))
    made = {}
    for name, size in SIZES.items():
        rows = [next(drawn) for _ in range(size)]
        pairs = "pairs" in name
        made[name] = [pair(*row, i) if pairs else example(*row) for i, row in enumerate(rows)]
    return made


def main() -> None:
    for name, rows in files().items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (Path(sys.argv[1]) / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
