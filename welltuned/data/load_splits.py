"""Loading: from `data:` in the config to three clean splits, with every change counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from welltuned.data import splits
from welltuned.data.cells import as_key
from welltuned.data.cleaning import ALONE, clean
from welltuned.data.config import DataConfig
from welltuned.data.corrections import correct
from welltuned.data.facts import DataFacts, SplitFacts
from welltuned.data.folds import hold_out
from welltuned.data.groups import (
    keys_by_group,
    refuse_large_groups,
    separate_groups,
    with_groups,
)
from welltuned.data.overlap import duplicates
from welltuned.data.overlap.leakage import separate
from welltuned.data.overlap.repeats import drop_repeats, note_repeats
from welltuned.data.readers.formats import ReadPath, read_path
from welltuned.data.records import Records, Role
from welltuned.data.sources import find_sources, read_file
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults, Place
from welltuned.schema.collector import collector_paused

Convert = Callable[[Table, dict[str, str], Faults], Table]
"""Turns a file's own format into columns: (table, the user's column mapping, faults)."""


def keep_columns(table: Table, columns: dict[str, str], faults: Faults) -> Table:
    """The conversion of files that are columns already."""
    return table


@dataclass(frozen=True)
class DataSplits:
    """Three splits of records, and the facts about them."""

    train: Records
    validation: Records
    test: Records
    facts: DataFacts

    def __getitem__(self, split: str) -> Records:
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


@collector_paused()  # rows are many, and none is in a cycle
def collect(
    config: DataConfig,
    roles: Sequence[Role],
    faults: Faults,
    convert: Convert = keep_columns,
    read: ReadPath = read_path,
) -> DataSplits | None:
    """Read, convert, map, clean and split the data.

    None when there were faults; they are recorded. One is that the data are of several runs, one
    for each fold.
    """
    before = len(faults)
    if config.is_cross_validated:
        _refuse_several_runs(config, faults)
        return None
    facts = DataFacts()
    records: dict[str, Records] = {}
    readers = find_sources(config, faults, read)
    for split in (split for split in SPLITS if split in readers and split not in config.leave_out):
        table = readers[split]()
        if table is not None and len(table):
            table = replace(as_asked(table, config), settled=tuple(facts.readings))
            table = convert(table, config.role_columns, faults)
        if table is not None:
            cleaned = clean(table, split, config, roles, facts, faults)
            if cleaned is not None:
                records[split] = duplicates.with_digests(cleaned, config.compare_as)
    if len(faults) > before or "train" not in records:
        return None
    records = with_groups(records, config, facts)
    for part_off in (_hold_out, _cut):
        records = part_off(records, config, roles, facts, faults)
        if len(faults) > before:
            return None
    records = correct(records, config, roles, facts, faults, read)
    if len(faults) > before:
        return None
    records = separate(records, config, facts, faults)
    records = separate_groups(records, config, facts, faults)
    if len(faults) > before:
        return None
    records["train"] = drop_repeats(records["train"], config, roles, facts)
    records["train"] = _limit(records["train"], config, roles, facts)
    for split in SPLITS:
        part = facts.splits.setdefault(split, SplitFacts(records[split].source))
        part.rows = len(records[split])
        part.fingerprint = records[split].fingerprint()
        note_repeats(split, records[split], config, roles, facts)
        records[split] = replace(records[split], keys=None)
    if config.fold == "all":
        records["test"] = records["validation"]  # nobody reads it, but some count its labels
    return DataSplits(records["train"], records["validation"], records["test"], facts)


def _refuse_several_runs(config: DataConfig, faults: Faults) -> None:
    faults.add(
        "data.folds_of_several_runs",
        "'data.folds' asks for {folds} runs, but this is about one",
        None,
        "`welltuned train` and `welltuned compare` carry all of them out; data.fold=0 is the first",
        folds=config.folds,
    )


@collector_paused()
def collect_file(
    name: str,
    config: DataConfig,
    roles: Sequence[Role],
    faults: Faults,
    convert: Convert = keep_columns,
    read: ReadPath = read_path,
    facts: DataFacts | None = None,
) -> Records | None:
    """One file as records, for evaluation. None when there were faults.

    `facts` are told what was left out, of the split `file`.
    """
    table = read_file(name, config, faults, read)
    if table is None:
        return None
    if len(table):
        table = convert(as_asked(table, config), config.columns, faults)
    return clean(table, ALONE, config, roles, facts or DataFacts(), faults)


def as_asked(table: Table, config: DataConfig) -> Table:
    """The table with what the user says of its cells."""
    return replace(table, decimal=config.decimal, prompt_in_answers=config.prompt_in_answers)


def _hold_out(
    records: dict[str, Records],
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
) -> dict[str, Records]:
    """Take the test split from the training data where that is a fold of them."""
    if config.folds is None:
        return records
    if "test" in records:
        faults.add(
            "data.folds_beside_test",
            "'data.folds' makes test splits of the training data, but there is one already",
            Place(records["test"].source),
            "data.leave_out=test leaves it out; or remove data.folds",
        )
        return records
    train = records["train"]
    keys, strata = _keys(train, config), _asked_strata(train, config, roles)
    parted = hold_out(train, keys, strata, config, facts, faults)
    return records if parted is None else {**records, "train": parted[0], "test": parted[1]}


def _cut(
    records: dict[str, Records],
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
) -> dict[str, Records]:
    """Cut the splits that have no file off the training data."""
    missing = {
        split: getattr(config.split, split)
        for split in ("validation", "test")
        if split not in records
    }
    if not missing:
        return records
    train = records["train"]
    strata = _asked_strata(train, config, roles)
    parts = _parts(_keys(train, config), strata, missing, config)
    short = [split for split, indices in parts.items() if not indices]
    if short and config.grouped_by:
        refuse_large_groups(train, short, config, faults)
        return records
    if short:
        faults.add(
            "data.too_few_to_split",
            "{rows:,} rows cannot be split: {empty} would be empty",
            Place(train.source),
            "give files for them in data.validation and data.test, or more data",
            rows=len(train),
            empty=" and ".join(short),
        )
        return records
    facts.cut |= {
        "seed": config.split.seed,
        "from": train.source,
        **{split: [train.lines[i] for i in parts[split]] for split in missing},
    }
    sizes = ", ".join(f"{split} {len(parts[split]):,}" for split in missing)
    facts.note(
        "data.cut_off",
        "No file was given for {splits}: split off from {source} (seed {seed}): {sizes}.",
        splits=" and ".join(missing),
        source=train.source,
        seed=config.split.seed,
        sizes=sizes,
    )
    return {**records, **{split: train.take(indices) for split, indices in parts.items()}}


def _parts(
    keys: Sequence[Hashable],
    strata: Sequence[Hashable],
    missing: dict[str, float],
    config: DataConfig,
) -> dict[str, list[int]]:
    if not config.grouped_by:
        return splits.cut(keys, strata, missing, config.split.seed)
    shares = {"train": 1 - sum(missing.values()), **missing}
    return splits.allot(keys, strata, shares, config.split.seed)


def _limit(train: Records, config: DataConfig, roles: Sequence[Role], facts: DataFacts) -> Records:
    number = config.max_train_examples
    if number is None or number >= len(train):
        return train
    facts.note(
        "data.limited",
        "{number:,} of {total:,} training examples are used (data.max_train_examples).",
        number=number,
        total=len(train),
    )
    seed = config.split.seed if config.sample_seed is None else config.sample_seed
    return train.take(splits.draw(_strata(train, roles), number, seed))


def _keys(records: Records, config: DataConfig) -> Sequence[Hashable]:
    """What keeps records together: their group, or else their texts."""
    if config.grouped_by:
        return keys_by_group(records, duplicates.digests_of(records, config.compare_as))
    if "group" in records:
        return [str(group) for group in records["group"]]
    return duplicates.digests_of(records, config.compare_as)


def _asked_strata(
    records: Records, config: DataConfig, roles: Sequence[Role]
) -> Sequence[Hashable]:
    return _strata(records, roles) if config.split.stratify else [0] * len(records)


def _strata(records: Records, roles: Sequence[Role]) -> list[Hashable]:
    """What splits are stratified by: the target, unless it takes too many values to be a class."""
    targets = (role for role in roles if role.is_target and not role.is_list)
    target = next((role.name for role in targets if role.name in records), None)
    if target is None:
        return [0] * len(records)
    values = [as_key(cell) for cell in records[target]]
    return list(values) if len(set(values)) <= max(20, len(values) // 10) else [0] * len(records)
