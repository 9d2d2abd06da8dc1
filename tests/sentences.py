"""Tagged sentences to learn from: which words are an entity can be read off the words."""

from __future__ import annotations

import random
from pathlib import Path

from support import WORDS

KINDS = {"GOOD": (WORDS[:4], WORDS[4:8]), "BAD": (WORDS[8:12], WORDS[12:16])}
"""The words an entity begins with, and those it goes on with; all others are outside."""

Sentence = tuple[list[str], list[str]]


def make_sentences(number: int, seed: int = 0) -> list[Sentence]:
    """Distinct sentences of unequal lengths as (words, IOB2 tags)."""
    rng = random.Random(seed)
    found: dict[str, Sentence] = {}
    while len(found) < number:
        words, tags = [rng.choice(WORDS[16:])], ["O"]
        for _ in range(rng.randint(1, 3)):
            kind = rng.choice(list(KINDS))
            length = rng.randint(1, 3)
            first, more = KINDS[kind]
            words += [rng.choice(first), *rng.choices(more, k=length - 1)]
            tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
            outside = rng.randint(1, 4)
            words += rng.choices(WORDS[16:], k=outside)
            tags += ["O"] * outside
        found.setdefault(" ".join(words), (words, tags))
    return list(found.values())


def write_conll(path: Path, sentences: list[Sentence]) -> str:
    """Sentences as a CoNLL file; returns the path as text."""
    blocks = [
        "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in sentences
    ]
    path.write_text("\n".join(blocks), encoding="utf-8")
    return str(path)
