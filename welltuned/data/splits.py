"""Splitting: cut validation and test off the training data, stratified where possible.

Seeded, stratified, and with equal texts kept together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np


def cut(
    keys: Sequence[Hashable], strata: Sequence[Hashable], shares: dict[str, float], seed: int
) -> dict[str, list[int]]:
    """Distribute records over the splits named in `shares`; what remains is `train`.

    Records with equal `keys` (equal texts, or one group) never part: they would
    leak. Within each stratum the shares are kept as closely as whole records
    allow. Returns ascending indices by split; a pure function of its arguments.
    """
    by_stratum = _units(keys, strata)
    random = np.random.default_rng(seed)
    result: dict[str, list[int]] = {"train": [], **{split: [] for split in shares}}
    for stratum in sorted(by_stratum, key=repr):
        members_of = by_stratum[stratum]
        order = random.permutation(len(members_of))
        total = sum(len(members) for members in members_of)
        wanted = {split: round(share * total) for split, share in shares.items()}
        for position in order:
            members = members_of[position]
            split = next((name for name, left in wanted.items() if left >= len(members)), "train")
            if split != "train":
                wanted[split] -= len(members)
            result[split].extend(members)
    return {split: sorted(indices) for split, indices in result.items()}


def deal(
    keys: Sequence[Hashable], strata: Sequence[Hashable], number: int, seed: int
) -> list[list[int]]:
    """Distribute records over `number` folds of sizes as equal as can be.

    As in `cut`, records with equal `keys` never part. Of each stratum the largest units come first,
    equal ones in random order, each to the fold with the fewest of its stratum, of those to the
    smallest. Returns ascending indices by fold; a pure function of its arguments.
    """
    by_stratum = _units(keys, strata)
    random = np.random.default_rng(seed)
    folds: list[list[int]] = [[] for _ in range(number)]
    for stratum in sorted(by_stratum, key=repr):
        members_of, filled = by_stratum[stratum], [0] * number
        shuffled = [members_of[place] for place in random.permutation(len(members_of))]
        for members in sorted(shuffled, key=len, reverse=True):
            least = min((filled[fold], len(folds[fold]), fold) for fold in range(number))[-1]
            filled[least] += len(members)
            folds[least].extend(members)
    return [sorted(indices) for indices in folds]


def _units(keys: Sequence[Hashable], strata: Sequence[Hashable]) -> dict[Hashable, list[list[int]]]:
    """The records that stay together, by the stratum of the first of them."""
    units: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        units[key].append(index)
    by_stratum: dict[Hashable, list[list[int]]] = defaultdict(list)
    for members in units.values():
        by_stratum[strata[members[0]]].append(members)
    return by_stratum


def draw(strata: Sequence[Hashable], number: int, seed: int) -> list[int]:
    """`number` indices with the shares of the strata kept, ascending.

    Every stratum has one before any has two, so that no class vanishes; then whichever lacks
    most of its share is next (Sainte-Laguë). A smaller drawing is thus part of every larger one
    of the same seed. A pure function of its arguments.
    """
    random = np.random.default_rng(seed)
    by_stratum: dict[Hashable, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        by_stratum[stratum].append(index)
    turns = [
        (taken > 0, (taken + 0.5) / len(by_stratum[name]), place, int(index))
        for place, name in enumerate(sorted(by_stratum, key=repr))
        for taken, index in enumerate(random.permutation(by_stratum[name]))
    ]
    return sorted(index for *_, index in sorted(turns)[:number])
