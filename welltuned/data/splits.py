"""Splitting: cut validation and test off the training data, stratified where possible.

Seeded, stratified, and with equal texts kept together.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

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


def allot(
    keys: Sequence[Hashable], strata: Sequence[Hashable], shares: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Distribute records over splits, all of whose `shares` come to 1, where those with equal
    `keys` are of several strata.

    The largest groups come first, equal ones in random order, each to the split where it brings
    the numbers of its strata nearest to what is wanted: where the sum over them of (number -
    wanted)² / wanted grows least (cf. Sechidis et al. 2011). Records that are alone fill up what is
    left, stratum by stratum. Returns ascending indices by split; a pure function of its arguments.
    """
    number_of = {stratum: place for place, stratum in enumerate(sorted(set(strata), key=repr))}
    strata_N = np.array([number_of[stratum] for stratum in strata])
    sizes_K = np.bincount(strata_N)
    wanted_SK = np.outer(list(shares.values()), sizes_K)
    filled_SK = np.zeros_like(wanted_SK)
    splits: list[list[int]] = [[] for _ in shares]
    random = np.random.default_rng(seed)
    for members in _largest_first(keys, random):
        counts_K = np.bincount(strata_N[members], minlength=len(sizes_K))
        costs_SK = counts_K * (counts_K + 2 * (filled_SK - wanted_SK)) / wanted_SK
        best = int(costs_SK.sum(axis=1).argmin())
        filled_SK[best] += counts_K
        splits[best] += members
    counted = Counter(keys)
    alone_N = np.array([counted[key] == 1 for key in keys])
    for stratum, left_S in enumerate(np.maximum(wanted_SK - filled_SK, 0).T):
        order = random.permutation(np.flatnonzero(alone_N & (strata_N == stratum)))
        bounds_S = np.rint(np.cumsum(left_S) * (len(order) / max(left_S.sum(), 1e-9)))
        for split, some in zip(splits, np.split(order, bounds_S[:-1].astype(int)), strict=True):
            split += some.tolist()
    return {name: sorted(indices) for name, indices in zip(shares, splits, strict=True)}


def _largest_first(keys: Sequence[Hashable], random: np.random.Generator) -> list[list[int]]:
    """The records of each group of two or more; equally large groups in random order."""
    members_of: dict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        members_of[key].append(index)
    groups = [members for members in members_of.values() if len(members) > 1]
    return sorted((groups[place] for place in random.permutation(len(groups))), key=len)[::-1]


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
