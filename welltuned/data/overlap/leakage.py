"""Leakage: texts that are in two splits."""

from __future__ import annotations

from collections.abc import Sequence

from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts
from welltuned.data.overlap import duplicates
from welltuned.data.overlap.duplicates import Overlap
from welltuned.data.records import Records
from welltuned.data.table import SPLITS
from welltuned.errors import Faults
from welltuned.schema.messages import Message, message, render_message

Keys = dict[str, Sequence[bytes]]
"""By split: what each record is compared by."""


def separate(
    records: dict[str, Records], config: DataConfig, facts: DataFacts, faults: Faults
) -> dict[str, Records]:
    """Deal with texts that are in two splits, as the config says."""
    ordered = {split: records[split] for split in SPLITS}
    keys = {split: duplicates.digests_of(one, config.compare_as) for split, one in ordered.items()}
    overlaps = duplicates.find_overlaps(ordered, keys)
    if not overlaps:
        return ordered
    for overlap in overlaps:
        pair = f"{overlap.earlier}/{overlap.later}"
        facts.overlaps[pair] = facts.overlaps.get(pair, 0) + 1
    summary = _summary(overlaps, facts)
    if config.duplicates == "error":
        first = overlaps[0]
        faults.add(
            "data.duplicates_across_splits",
            "{summary}; the first repeats {earlier}",
            ordered[first.later].place(first.later_index),
            "data.duplicates=drop removes them from the earlier split, "
            "data.duplicates=keep trains anyway",
            summary=render_message(summary),
            earlier=ordered[first.earlier].place(first.earlier_index),
        )
        return ordered
    if config.duplicates == "keep":
        facts.notes.append(summary)
        facts.note("data.duplicates_kept", "They are kept as asked, so scores are too high.")
        return ordered
    return _drop(ordered, keys, summary, facts, faults)


def _summary(overlaps: Sequence[Overlap], facts: DataFacts) -> Message:
    exact = sum(overlap.exact for overlap in overlaps)
    return message(
        "data.duplicates",
        "Texts of one split that are also in another: {number:,} ({pairs}; "
        "{exact:,} exact, {folded:,} differing only in case or punctuation)",
        number=len(overlaps),
        pairs=", ".join(f"{pair} {number}" for pair, number in facts.overlaps.items()),
        exact=exact,
        folded=len(overlaps) - exact,
    )


def _drop(
    ordered: dict[str, Records], keys: Keys, summary: Message, facts: DataFacts, faults: Faults
) -> dict[str, Records]:
    """Take texts out of the earlier of the splits they are in."""
    for split in ("train", "validation"):
        later = {key for other in SPLITS[SPLITS.index(split) + 1 :] for key in keys[other]}
        kept = [i for i, key in enumerate(keys[split]) if key not in later]
        if not kept:
            faults.add(
                "data.split_all_duplicates",
                "every text of {split} is also in a later split",
                ordered[split].place(0),
                "give different data",
                split=split,
            )
            return ordered
        ordered[split] = ordered[split].take(kept)
    facts.notes.append(summary)
    facts.note("data.duplicates_dropped", "They are dropped from the earlier split.")
    return ordered
