"""Cutting validation and test off the training data.

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
    units: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        units[key].append(index)
    by_stratum: dict[Hashable, list[list[int]]] = defaultdict(list)
    for members in units.values():
        by_stratum[strata[members[0]]].append(members)
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


def draw(strata: Sequence[Hashable], number: int, seed: int) -> list[int]:
    """`number` indices with the shares of the strata kept, ascending.

    A pure function of its arguments.
    """
    random = np.random.default_rng(seed)
    by_stratum: dict[Hashable, list[int]] = defaultdict(list)
    for index, stratum in enumerate(strata):
        by_stratum[stratum].append(index)
    names = sorted(by_stratum, key=repr)
    exact = {name: number * len(by_stratum[name]) / len(strata) for name in names}
    counts = {name: int(exact[name]) for name in names}
    for name in sorted(names, key=lambda name: counts[name] - exact[name])[
        : number - sum(counts.values())
    ]:
        counts[name] += 1
    return sorted(
        int(i) for name in names for i in random.permutation(by_stratum[name])[: counts[name]]
    )
