"""Loading: from `data:` in the config to three clean splits, with every change counted."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from welltuned.data import duplicates, splits
from welltuned.data.config import DataConfig
from welltuned.data.records import Records, Role, map_columns, to_records
from welltuned.data.sources import find_sources, read_file
from welltuned.data.table import SPLITS, Table
from welltuned.errors import Faults, Place

_SHOWN = 5

Convert = Callable[[Table, dict[str, str], Faults], Table]
"""Turns a file's own format into columns: (table, the user's column mapping, faults)."""


def keep_columns(table: Table, columns: dict[str, str], faults: Faults) -> Table:
    """The conversion of files that are columns already."""
    return table


@dataclass
class SplitFacts:
    """What is known of one split."""

    source: str
    rows: int = 0
    empty: int = 0
    repeats: int = 0
    conflicts: int = 0
    fingerprint: str = ""


@dataclass
class DataFacts:
    """What is known of the data: written to `data.json`, shown in terminal and report."""

    columns: dict[str, str] = field(default_factory=dict)
    unused_columns: list[str] = field(default_factory=list)
    splits: dict[str, SplitFacts] = field(default_factory=dict)
    cut: dict[str, Any] = field(default_factory=dict)
    overlaps: dict[str, int] = field(default_factory=dict)
    task: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What a person should know, in whole sentences."""

    @property
    def fingerprint(self) -> str:
        """One hash of all splits as they were used."""
        return hashlib.sha256(
            "".join(self.splits[name].fingerprint for name in SPLITS).encode()
        ).hexdigest()[:32]

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "fingerprint": self.fingerprint}


@dataclass(frozen=True)
class DataSplits:
    """Three splits of records, and the facts about them."""

    train: Records
    validation: Records
    test: Records
    facts: DataFacts

    def __getitem__(self, split: str) -> Records:
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


def collect(
    config: DataConfig, roles: Sequence[Role], faults: Faults, convert: Convert = keep_columns
) -> DataSplits | None:
    """Read, convert, map, clean and split the data.

    None when there were faults; they are recorded.
    """
    before = len(faults)
    facts = DataFacts()
    records: dict[str, Records] = {}
    for split, reader in find_sources(config, faults).items():
        table = reader()
        if table is not None and len(table):
            table = convert(table, config.columns, faults)
        if table is not None:
            cleaned = _clean(table, split, config, roles, facts, faults)
            if cleaned is not None:
                records[split] = cleaned
    if len(faults) > before or "train" not in records:
        return None
    records = _cut(records, config, roles, facts, faults)
    if len(faults) > before:
        return None
    records = _separate(records, config, facts, faults)
    if len(faults) > before:
        return None
    records["train"] = _limit(records["train"], config, roles, facts)
    for split in SPLITS:
        part = facts.splits.setdefault(split, SplitFacts(records[split].source))
        part.rows = len(records[split])
        part.fingerprint = _fingerprint(records[split])
        _count_repeats(split, records[split], config, roles, facts)
    return DataSplits(records["train"], records["validation"], records["test"], facts)


def collect_file(
    name: str,
    config: DataConfig,
    roles: Sequence[Role],
    faults: Faults,
    convert: Convert = keep_columns,
) -> Records | None:
    """One file as records, for evaluation and prediction. None when there were faults."""
    table = read_file(name, config, faults)
    if table is None:
        return None
    if len(table):
        table = convert(table, config.columns, faults)
    return _clean(table, "file", config, roles, DataFacts(), faults)


def _clean(
    table: Table,
    split: str,
    config: DataConfig,
    roles: Sequence[Role],
    facts: DataFacts,
    faults: Faults,
) -> Records | None:
    """Map the columns, refuse missing targets, and leave out empty texts (counted)."""
    if not len(table):
        return None  # the reader has said why
    before = len(faults)
    mapping = map_columns(table, roles, {} if table.mapped else config.columns, faults)
    if len(faults) > before:
        return None
    facts.columns = facts.columns or mapping
    facts.unused_columns = facts.unused_columns or [
        column for column in table.columns if column not in mapping.values()
    ]
    facts.notes += [f"{table.source}: {note}." for note in table.notes]
    records = to_records(table, roles, mapping)
    lists = [role.name for role in roles if role.is_list and role.name in records]
    for name in lists:
        records.columns[name] = _lists(records, name, faults)
    for role in roles:
        if role.is_target and role.name in records:
            for index, cell in enumerate(records[role.name]):
                if _is_missing(cell):
                    faults.add_counted(
                        "data.cell_missing",
                        "the {role} is missing",
                        records.place(index),
                        "fill in '{column}', or remove the row",
                        role=role.name,
                        column=mapping.get(role.name, role.name),
                    )
    for name in set(records.input_roles) - set(lists):
        records.columns[name] = ["" if _is_missing(cell) else str(cell) for cell in records[name]]
    full = [
        i
        for i in range(len(records))
        if all("".join(records[role][i]).strip() for role in records.input_roles)
    ]
    empty = len(records) - len(full)
    facts.splits[split] = SplitFacts(table.source, empty=empty)
    if empty:
        lines = [records.lines[i] for i in sorted(set(range(len(records))) - set(full))][:_SHOWN]
        shown = ", ".join(map(str, lines)) + (", …" if empty > _SHOWN else "")
        facts.notes.append(
            f"{table.source}: {_count(empty, 'row')} with an empty text left out (line {shown})."
        )
    if not full:
        faults.add("data.no_texts", "no row has a text", records.place(0), "check data.columns")
        return None
    return records.take(full) if empty else records


def _lists(records: Records, role: str, faults: Faults) -> list[list[str]]:
    """The cells of a column of lists as lists of text."""
    cells: list[list[str]] = []
    for index, cell in enumerate(records[role]):
        items = _as_list(cell)
        if items is None:
            faults.add_counted(
                "data.cell_not_a_list_of_words",
                "the {role} are {cell}, which is not a list",
                records.place(index),
                'write a list, ["such", "as", "this"], or text with spaces between',
                role=role,
                cell=f"{cell!r}"[:60],
            )
        cells.append(items or [])
    return cells


def _as_list(cell: Any) -> list[str] | None:
    """A list as it is, text split on spaces; None for anything else.

    Tables of text hold lists as Python or JSON writes them: `['such', 'as', 'this']`.
    """
    if isinstance(cell, str) and _WRITTEN_LIST.fullmatch(cell.strip()):
        with suppress(ValueError, SyntaxError):
            cell = ast.literal_eval(cell.strip())
    if isinstance(cell, str):
        return cell.split()
    if isinstance(cell, (list, tuple)):
        return ["" if item is None else str(item).strip() for item in cell]
    return [] if _is_missing(cell) else None


_WRITTEN_LIST = re.compile(r"""\[(['"]).*['"]\]""", re.DOTALL)


def _is_missing(cell: Any) -> bool:
    """Nothing, blanks, or the not-a-number that stands for nothing in tables."""
    blank = isinstance(cell, str) and not cell.strip()
    return cell is None or blank or (isinstance(cell, float) and cell != cell)


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
    keys: Sequence[Hashable] = (
        [str(group) for group in train["group"]]
        if "group" in train
        else duplicates.keys_of(train, config.compare_as)
    )
    parts = splits.cut(
        keys,
        _strata(train, roles) if config.split.stratify else [0] * len(train),
        missing,
        config.split.seed,
    )
    short = [split for split, indices in parts.items() if not indices]
    if short:
        faults.add(
            "data.too_few_to_split",
            "{rows} cannot be split: {empty} would be empty",
            Place(train.source),
            "give files for them in data.validation and data.test, or more data",
            rows=_count(len(train), "row"),
            empty=" and ".join(short),
        )
        return records
    facts.cut = {
        "seed": config.split.seed,
        "from": train.source,
        **{split: [train.lines[i] for i in parts[split]] for split in missing},
    }
    sizes = ", ".join(f"{split} {len(parts[split]):,}" for split in missing)
    facts.notes.append(
        f"{' and '.join(missing)} had no file and {'was' if len(missing) == 1 else 'were'} "
        f"cut off {train.source} (seed {config.split.seed}): {sizes}."
    )
    return {**records, **{split: train.take(indices) for split, indices in parts.items()}}


def _separate(
    records: dict[str, Records], config: DataConfig, facts: DataFacts, faults: Faults
) -> dict[str, Records]:
    """Deal with texts that are in two splits, as the config says."""
    ordered = {split: records[split] for split in SPLITS}
    keys = {split: duplicates.keys_of(part, config.compare_as) for split, part in ordered.items()}
    overlaps = duplicates.find_overlaps(ordered, keys)
    if not overlaps:
        return ordered
    for overlap in overlaps:
        pair = f"{overlap.earlier}/{overlap.later}"
        facts.overlaps[pair] = facts.overlaps.get(pair, 0) + 1
    exact = sum(overlap.exact for overlap in overlaps)
    pairs = ", ".join(f"{pair} {number}" for pair, number in facts.overlaps.items())
    summary = (
        f"{_count(len(overlaps), 'text')} of one split "
        f"{'is' if len(overlaps) == 1 else 'are'} also in another ({pairs}; "
        f"{exact} exactly, {len(overlaps) - exact} but for case and punctuation)"
    )
    if config.duplicates == "error":
        first = overlaps[0]
        faults.add(
            "data.duplicates_across_splits",
            "{summary}; the first repeats {earlier}",
            ordered[first.later].place(first.later_index),
            "data.duplicates=drop removes them from the earlier split, "
            "data.duplicates=keep trains anyway",
            summary=summary,
            earlier=ordered[first.earlier].place(first.earlier_index),
        )
        return ordered
    if config.duplicates == "keep":
        facts.notes.append(f"{summary}; kept as asked, so scores are too high.")
        return ordered
    for split in ("train", "validation"):
        later = {key for other in SPLITS[SPLITS.index(split) + 1 :] for key in keys[other]}
        kept = [i for i, key in enumerate(keys[split]) if key not in later]
        if not kept:
            faults.add(
                "data.split_all_duplicates",
                "every text of {split} is also in a later split",
                ordered[split].place(0),
                "give data that differ",
                split=split,
            )
            return ordered
        ordered[split] = ordered[split].take(kept)
    facts.notes.append(f"{summary}; dropped from the earlier split.")
    return ordered


def _limit(train: Records, config: DataConfig, roles: Sequence[Role], facts: DataFacts) -> Records:
    number = config.max_train_examples
    if number is None or number >= len(train):
        return train
    facts.notes.append(
        f"{number:,} of {len(train):,} training examples are used (data.max_train_examples)."
    )
    seed = config.split.seed if config.sample_seed is None else config.sample_seed
    return train.take(splits.draw(_strata(train, roles), number, seed))


def _strata(records: Records, roles: Sequence[Role]) -> list[Hashable]:
    """What splits are stratified by: the target, unless it takes too many values to be a class."""
    targets = (role for role in roles if role.is_target and not role.is_list)
    target = next((role.name for role in targets if role.name in records), None)
    if target is None:
        return [0] * len(records)
    values = [str(cell) for cell in records[target]]
    return list(values) if len(set(values)) <= max(20, len(values) // 10) else [0] * len(records)


def _count_repeats(
    split: str, records: Records, config: DataConfig, roles: Sequence[Role], facts: DataFacts
) -> None:
    keys = duplicates.keys_of(records, config.compare_as)
    part = facts.splits[split]
    part.repeats = duplicates.count_repeats(keys)
    target = next((role.name for role in roles if role.is_target and role.name in records), None)
    if target is not None:
        answers: dict[tuple[str, ...], set[str]] = {}
        for key, cell in zip(keys, records[target], strict=True):
            answers.setdefault(key, set()).add(str(cell))
        part.conflicts = sum(len(found) > 1 for found in answers.values())
    if part.repeats:
        facts.notes.append(f"{split}: {_count(part.repeats, 'text')} repeated within the split.")
    if part.conflicts:
        facts.notes.append(
            f"{split}: {_count(part.conflicts, 'text')} with contradicting labels; "
            "no model can get them all right."
        )


def _fingerprint(records: Records) -> str:
    digest = hashlib.sha256()
    for role in sorted(records.columns):
        digest.update(json.dumps([role, records[role]], ensure_ascii=False, default=str).encode())
    return digest.hexdigest()[:32]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
