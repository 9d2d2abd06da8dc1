"""Writes the questions of `welltuned demo llm`: examples, preferences, prompts, what is held out.

    python examples/make_middle.py welltuned/data/demo

Each asks for the middle one of three numbers of two digits; no three numbers are in two rows. Of
the rejected answers half are another one of the three, and half are right in words that nobody
asked for.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

SIZES = {"middle_en": 112, "middle_pairs_en": 60, "middle_asked_en": 320, "middle_test_en": 180}
"""Rows by file."""
WORDY = (
    " Let me think about it. The one in the middle is {right}, if I am not mistaken.",
    " That is a good question! I would say that it is {right} in the end.",
    " {right} is what you get when you put them in order, one after the other.",
)


def questions(number: int, seed: int = 0) -> Iterator[tuple[str, list[int]]]:
    """Questions with their numbers in order; no two ask for the same three."""
    rng, seen = random.Random(seed), set[tuple[int, ...]]()
    while len(seen) < number:
        three = rng.sample(range(10, 100), 3)
        if (ordered := tuple(sorted(three))) not in seen:
            seen.add(ordered)
            yield f"Middle of {', '.join(map(str, three))}:", list(ordered)


def example(question: str, ordered: list[int]) -> dict[str, str]:
    return {"prompt": question, "completion": f" {ordered[1]}"}


def pair(question: str, ordered: list[int], number: int) -> dict[str, str]:
    """The right answer in the wanted form beside a worse one."""
    wrong, wordy = ordered[number // 2 % 2 * 2], WORDY[number // 2 % len(WORDY)]
    rejected = f" {wrong}" if number % 2 else wordy.format(right=ordered[1])
    return {"prompt": question, "chosen": f" {ordered[1]}", "rejected": rejected}


def files() -> dict[str, list[dict[str, str]]]:
    """The rows of each file."""
    drawn = questions(sum(SIZES.values()))
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
