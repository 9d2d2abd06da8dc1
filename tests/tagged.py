"""Random tagged sentences, most of them malformed."""

from __future__ import annotations

import random

TYPED = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "LOC", "A-B"))]
BARE = ["O", "B", "I", "E", "S"]


def draw(tags: list[str], number: int, seed: int = 0) -> list[list[str]]:
    """Random sentences; most of them are malformed."""
    rng = random.Random(seed)
    return [rng.choices(tags, k=rng.randint(1, 10)) for _ in range(number)]
