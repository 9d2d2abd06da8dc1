"""Folds: the training data dealt out, so that every example is once in a test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

from welltuned.data import splits
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.records import Records
from welltuned.errors import Faults, Place


def hold_out(
    train: Records,
    keys: Sequence[Hashable],
    strata: Sequence[Hashable],
    config: DataConfig,
    facts: DataFacts,
    faults: Faults,
) -> tuple[Records, Records] | None:
    """(what is learned from, the fold that `data.fold` names); none is held out for `all`.

    Records with equal `keys` are in one fold, and each of the `strata` in all of them. None when
    there were faults; they are recorded.
    """
    assert config.folds is not None
    if not _are_enough(train, keys, strata, config, faults):
        return None
    if not isinstance(config.fold, int):
        facts.note(
            "data.nothing_held_out",
            "All {folds} folds ({number:,} examples) are for training and validation: there is no "
            "test split.",
            folds=config.folds,
            number=len(train),
        )
        return train, train.take([])
    folds = _dealt(keys, strata, config)
    held, rest = folds.pop(config.fold), sorted(i for fold in folds for i in fold)
    facts.cut = {
        "seed": config.split.seed,
        "from": train.source,
        "test": [train.lines[i] for i in held],
    }
    facts.note(
        "data.fold_held_out",
        "Fold {fold} of {folds}, counted from 0, is the test split: {number:,} of {total:,} "
        "examples (seed {seed}).",
        fold=config.fold,
        folds=config.folds,
        number=len(held),
        total=len(train),
        seed=config.split.seed,
    )
    return train.take(rest), train.take(held)


def _are_enough(
    train: Records,
    keys: Sequence[Hashable],
    strata: Sequence[Hashable],
    config: DataConfig,
    faults: Faults,
) -> bool:
    """Whether every fold gets some of each stratum; of records that stay together one counts.

    Those of a group may be of several strata, and one of each counts.
    """
    folds, counts = config.folds or 0, _units_of_strata(keys, strata, config)
    label, number = min(counts.items(), key=lambda item: (item[1], repr(item[0])))
    if number >= folds:
        return not config.grouped_by or not _refuse_one_group(train, keys, config, faults)
    if len(counts) == 1:
        faults.add(
            "data.folds_above_examples",
            "{folds} folds cannot be made of {number:,} examples (equal texts, or those of one "
            "group, count once)",
            Place(train.source),
            "lower data.folds, or give more examples",
            folds=folds,
            number=number,
        )
    else:
        faults.add(
            "data.folds_above_rarest",
            "{folds} folds cannot each have an example of '{label}', of which there are {number:,} "
            "(equal texts, or those of one group, count once)",
            Place(train.source),
            "lower data.folds, give more examples of it, or set data.split.stratify=false",
            folds=folds,
            label=label,
            number=number,
        )
    return False


def _units_of_strata(
    keys: Sequence[Hashable], strata: Sequence[Hashable], config: DataConfig
) -> Counter[Hashable]:
    """How many units have records of each stratum; without groups, that of the first counts."""
    pairs = dict.fromkeys(zip(keys, strata, strict=True))
    if config.grouped_by:
        return Counter(stratum for _, stratum in pairs)
    return Counter(dict(reversed(pairs)).values())


def _refuse_one_group(
    train: Records, keys: Sequence[Hashable], config: DataConfig, faults: Faults
) -> bool:
    """Record that one group is more than half of the data; whether it is."""
    group, rows = Counter(keys).most_common(1)[0]
    if rows <= len(keys) / 2:
        return False
    faults.add(
        "data.folds_of_one_group",
        "the group '{group}' by {by} has {rows:,} of {total:,} rows: the fold that holds it would "
        "be tested by more than is learned from",
        Place(train.source),
        "group by something finer, or remove data.folds",
        group=group,
        by=config.grouping,
        rows=rows,
        total=len(keys),
    )
    return True


def _dealt(
    keys: Sequence[Hashable], strata: Sequence[Hashable], config: DataConfig
) -> list[list[int]]:
    assert config.folds is not None
    if not config.grouped_by:
        return splits.deal(keys, strata, config.folds, config.split.seed)
    shares = {str(fold): 1 / config.folds for fold in range(config.folds)}
    return list(splits.allot(keys, strata, shares, config.split.seed).values())
