"""Repeats: texts that a split has more than once, and labels that contradict."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from welltuned.data.cells import as_key
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts, some_lines
from welltuned.data.overlap import duplicates
from welltuned.data.overlap.near_duplicates import Joined, join_near_duplicates
from welltuned.data.records import Records, Role


def drop_repeats(
    train: Records, config: DataConfig, roles: Sequence[Role], facts: DataFacts
) -> Records:
    """The training records without those that repeat an earlier one, as `data.repeats` says.

    One that repeats a text with another target says something else, and stays.
    """
    if config.repeats == "keep":
        return train
    known: set[Hashable] = set()
    kept: list[int] = []
    dropped: list[int] = []
    for i, one in enumerate(zip(_alike(train, config), *_targets(train, roles), strict=True)):
        (dropped if one in known else kept).append(i)
        known.add(one)
    if not dropped:
        return train
    facts.note(
        "data.repeats_dropped",
        "train: rows dropped that repeat an earlier one and its target: {number:,} of {rows:,} "
        "(line {lines}).",
        number=len(dropped),
        rows=len(train),
        lines=some_lines([train.lines[i] for i in dropped]),
    )
    return train.take(kept)


def _alike(records: Records, config: DataConfig) -> Sequence[Hashable]:
    """What records that count as repeats of one another have in common."""
    if config.repeats == "drop":
        return duplicates.digests_of(records, config.compare_as)
    joined = Joined(len(records))
    join_near_duplicates(joined, duplicates.compared_texts(records, config.compare_as))
    return [joined.first(i) for i in range(len(records))]


def _targets(records: Records, roles: Sequence[Role]) -> list[list[str]]:
    """The columns of what is to be learned, as targets are compared."""
    columns = [records[role.name] for role in roles if role.is_target and role.name in records]
    return [[as_key(cell) for cell in cells] for cells in columns]


def note_repeats(
    split: str, records: Records, config: DataConfig, roles: Sequence[Role], facts: DataFacts
) -> None:
    """Count texts that a split repeats, and those whose labels contradict."""
    keys = duplicates.digests_of(records, config.compare_as)
    part = facts.splits[split]
    repeats = duplicates.find_repeats(keys)
    part.repeats = len(repeats)
    target = next((role.name for role in roles if role.is_target and role.name in records), None)
    if target is not None:
        repeated = {keys[i] for i in repeats}
        answers: dict[bytes, dict[str, int]] = {}
        for i, (key, cell) in enumerate(zip(keys, records[target], strict=True)):
            if key in repeated:
                answers.setdefault(key, {}).setdefault(as_key(cell), i)
        contradicted = [list(found.values()) for found in answers.values() if len(found) > 1]
        part.conflicts = len(contradicted)
    if part.repeats:
        facts.note(
            "data.repeats",
            "{split}: texts repeated within the split: {number:,} (line {lines}).",
            split=split,
            number=part.repeats,
            lines=some_lines([records.lines[i] for i in repeats]),
        )
    if part.conflicts:
        facts.note(
            "data.contradictions",
            "{split}: texts with contradicting labels: {number:,} (line {lines}); no model can get "
            "them all right.",
            split=split,
            number=part.conflicts,
            lines=some_lines([records.lines[i] for found in contradicted for i in found]),
        )
