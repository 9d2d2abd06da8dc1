"""Groups: records that belong together, by a column or as near-duplicates, are all in one split.

Texts by one author, pieces of one document or functions of one project are alike in more than what
is to be learned, so that a score on some tells little where others were learned from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import chain, count, islice
from typing import Any

from welltuned.data.cells import as_key, is_missing
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.overlap.duplicates import compared_texts
from welltuned.data.overlap.near_duplicates import Joined, join_near_duplicates
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults, Place
from welltuned.schema.messages import Message, message, render_message

ROLE = "group"
"""The role of the column that says which records belong together."""

Splits = dict[str, Records]


def with_groups(splits: Splits, config: DataConfig, facts: DataFacts) -> Splits:
    """The splits with the group of each record, as the config has it; counted in the facts.

    With near-duplicates a group is known by the number of its first record.
    """
    if not config.grouped_by:
        return splits
    if config.groups_near_duplicates:
        splits = _with_near_duplicates(splits, config)
    counts = Counter(group for part in splits.values() for group in _groups(part))
    lone = counts.pop(None, 0)
    facts.groups = {
        "by": list(config.grouped_by),
        "number": len(counts),
        "of_several_rows": sum(rows > 1 for rows in counts.values()),
        "largest": max(counts.values(), default=0),
        "without": lone,
    }
    if lone:
        facts.note(
            "data.rows_without_group",
            "Rows without a cell in {column}, each of which is a group of its own: {number:,}.",
            column=config.role_columns[ROLE],
            number=lone,
        )
    return splits


def _with_near_duplicates(splits: Splits, config: DataConfig) -> Splits:
    """The splits with groups of near-duplicates and of what shares a group besides."""
    joined = Joined(sum(map(len, splits.values())))
    firsts: dict[str, int] = {}
    for place, group in enumerate(chain.from_iterable(map(_groups, splits.values()))):
        if group is not None:
            joined.join(firsts.setdefault(group, place), place)
    texts = (compared_texts(part, config.compare_as) for part in splits.values())
    join_near_duplicates(joined, list(chain.from_iterable(texts)))
    groups = map(joined.first, count())
    return {
        split: replace(part, columns={**part.columns, ROLE: list(islice(groups, len(part)))})
        for split, part in splits.items()
    }


def _groups(records: Records) -> list[str | None]:
    """The group of each record as it is compared; None where it has none."""
    cells: Sequence[Any] = records[ROLE] if ROLE in records else [None] * len(records)
    return [None if is_missing(cell) else as_key(cell) for cell in cells]


def keys_by_group(records: Records, texts: Sequence[Hashable]) -> list[Hashable]:
    """What keeps records together: their group, or else their texts."""
    pairs = zip(_groups(records), texts, strict=True)
    return [text if group is None else group for group, text in pairs]


def refuse_large_groups(
    train: Records, short: Sequence[str], config: DataConfig, faults: Faults
) -> None:
    """Record that splits would be empty, for no group is small enough for them."""
    counts = Counter(keys_by_group(train, range(len(train))))
    group, rows = counts.most_common(1)[0]
    faults.add(
        "data.groups_too_large",
        "{empty} would be empty: there are {number:,} groups by {by} to cut them from, and that of "
        "'{group}' alone has {rows:,} of {total:,} rows",
        Place(train.source),
        "group by something finer, ask for larger shares in data.split, or give files in "
        "data.validation and data.test",
        empty=" and ".join(short),
        number=len(counts),
        by=config.grouping,
        group=group,
        rows=rows,
        total=len(train),
    )


# --- Given splits ------------------------------------------------------------------------


def separate_groups(splits: Splits, config: DataConfig, facts: DataFacts, faults: Faults) -> Splits:
    """Deal with groups that are in two splits, as `data.duplicates` says of texts."""
    if not config.grouped_by:
        return splits
    of = {split: _groups(splits[split]) for split in SPLITS}
    shared = _shared(of)
    if shared:
        splits = _deal_with(shared, of, splits, config, facts, faults)
    facts.groups["in_splits"] = {
        split: len(set(_groups(part)) - {None}) for split, part in splits.items()
    }
    facts.groups["shared"] = {pair: len(groups) for pair, groups in shared.items()}
    if not shared:
        facts.notes.append(_counted(config, facts))
    return splits


def _shared(of: dict[str, list[str | None]]) -> dict[str, list[str]]:
    """The groups that are in two splits, by the names of these."""
    found: dict[str, list[str]] = {}
    for place, earlier in enumerate(SPLITS):
        for later in SPLITS[place + 1 :]:
            in_later = set(of[later])
            both = dict.fromkeys(one for one in of[earlier] if one in in_later and one is not None)
            if both:
                found[f"{earlier}/{later}"] = list(both)
    return found


def _deal_with(
    shared: dict[str, list[str]],
    of: dict[str, list[str | None]],
    splits: Splits,
    config: DataConfig,
    facts: DataFacts,
    faults: Faults,
) -> Splits:
    summary = _summary(shared, config)
    if config.duplicates == "error":
        _report_across_splits(shared, of, splits, summary, faults)
        return splits
    facts.notes.append(summary)
    if config.duplicates == "keep":
        facts.note("data.groups_kept", "They are kept as asked, so scores may be too high.")
        return splits
    return _drop(of, splits, facts, faults)


def _summary(shared: dict[str, list[str]], config: DataConfig) -> Message:
    return message(
        "data.groups_shared",
        "Groups by {by} of one split that are also in another: {number:,} ({pairs}).",
        by=config.grouping,
        number=len({group for groups in shared.values() for group in groups}),
        pairs=", ".join(f"{pair} {len(groups)}" for pair, groups in shared.items()),
    )


def _report_across_splits(
    shared: dict[str, list[str]],
    of: dict[str, list[str | None]],
    splits: Splits,
    summary: Message,
    faults: Faults,
) -> None:
    pair, groups = next(iter(shared.items()))
    earlier, later = pair.split("/")
    faults.add(
        "data.groups_across_splits",
        "{summary} The first is that of {earlier}",
        splits[later].place(of[later].index(groups[0])),
        "data.duplicates=drop removes their rows from the earlier split, data.duplicates=keep "
        "trains anyway",
        summary=render_message(summary),
        earlier=splits[earlier].place(of[earlier].index(groups[0])),
    )


def _drop(
    of: dict[str, list[str | None]], splits: Splits, facts: DataFacts, faults: Faults
) -> Splits:
    """Take groups out of the earlier of the splits they are in."""
    left = dict(splits)
    for place, split in enumerate(SPLITS[:-1]):
        later = {group for other in SPLITS[place + 1 :] for group in of[other]} - {None}
        kept = [i for i, group in enumerate(of[split]) if group not in later]
        if not kept:
            faults.add(
                "data.split_all_in_shared_groups",
                "every group of {split} is also in a later split",
                splits[split].place(0),
                "give different data, or groups by something finer",
                split=split,
            )
            return splits
        facts.note(
            "data.groups_dropped",
            "{split}: rows dropped whose groups are in a later split: {number:,}.",
            split=split,
            number=len(of[split]) - len(kept),
        )
        left[split] = splits[split].take(kept)
    return left


def _counted(config: DataConfig, facts: DataFacts) -> Message:
    number, in_splits = facts.groups["number"], facts.groups["in_splits"]
    return message(
        "data.groups_counted",
        "Groups by {by}, none of which is parted: {number:,}, of which {several:,} have more than "
        "one row, the largest {largest:,}; {splits}.",
        by=config.grouping,
        number=number,
        several=facts.groups["of_several_rows"],
        largest=facts.groups["largest"],
        splits=", ".join(f"{split} {groups:,}" for split, groups in in_splits.items()),
    )
