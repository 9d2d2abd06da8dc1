"""Missing labels: rows that have none, and words that may say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from welltuned.data.cells import is_missing
from welltuned.data.config import DataConfig
from welltuned.data.facts import DataFacts, some_lines
from welltuned.data.readings import Reading, question, read_as
from welltuned.data.records import Records
from welltuned.errors import Faults, Place
from welltuned.schema.messages import message

WORDS = frozenset({"nan", "none", "na", "n/a", "#n/a", "<na>", "null", "nil", "nat"})
"""What programs write where there is nothing, case-folded."""
_UNLABELLED = "-1"
_LONG = 100
"""Characters from which a text is none of these words, whatever stands around it."""
_RARE = 0.05
"""A label -1 beside 0 and 1 that is rarer than this is asked about."""

MISSING = question(
    "missing labels",
    asks="Is a label such as nan, None, NA, null or -1 a label, or does it say that there is none?",
    evidence="-1 is a label beside other negative numbers, beside 1 alone, and beside 0 and 1 "
    "where it is not rare; else it is asked. Words for nothing are always asked about. A "
    "validation or test split without one other label is taken for unlabelled.",
    key="data.missing",
)


def leave_out_missing(
    records: Records, role: str, split: str, config: DataConfig, facts: DataFacts, faults: Faults
) -> Records:
    """The records whose label is not one of `data.missing`; the others are counted.

    Without that key, labels that may be missing are asked about.
    """
    words = [_word(cell) for cell in records[role]]
    if _is_hidden(words, split, config):
        refuse_hidden(
            Place(records.source),
            split,
            f"all are '{words[0]}'" if words[0] else "all are empty",
            faults,
        )
        return records
    if config.missing is None:
        if split == "train":
            _ask(words, role, records, facts, faults)
        return records
    missing = {_word(word) for word in config.missing}
    lost = [i for i, word in enumerate(words) if word in missing]
    if not lost:
        return records
    if len(lost) == len(words):
        _refuse_all(records, role, split, faults)
        return records
    facts.note(
        "data.labels_left_out",
        "{source}: rows left out whose {role} is in data.missing: {number:,} (line {lines}).",
        source=records.source,
        role=role,
        number=len(lost),
        lines=some_lines([records.lines[i] for i in lost]),
    )
    return records.take(sorted(set(range(len(records))) - set(lost)))


def _refuse_all(records: Records, role: str, split: str, faults: Faults) -> None:
    """Record that not one row has a label."""
    if split in ("validation", "test"):
        refuse_hidden(Place(records.source), split, "each is one of data.missing", faults)
        return
    faults.add(
        "data.no_labels",
        "no row has a {role} that is not one of data.missing",
        records.place(0),
        "check data.columns.{role} and data.missing",
        role=role,
    )


def tell_of_words(records: Records, facts: DataFacts) -> None:
    """Say where texts are a word that programs write for nothing; they stay texts."""
    found: dict[int, str] = {}
    for role in records.input_roles:
        for row, cell in enumerate(records[role]):
            if len(cell) < _LONG and (word := str(cell).strip()).casefold() in WORDS:
                found.setdefault(row, word)
    if found:
        facts.note(
            "data.texts_like_nothing",
            "{source}: texts that are a word for nothing, such as '{word}', are read as texts: "
            "{number:,} (line {lines}). Leave a cell empty where there is no text.",
            source=records.source,
            word=found[min(found)],
            number=len(found),
            lines=some_lines([records.lines[row] for row in sorted(found)]),
        )


def refuse_hidden(place: Place, split: str, evidence: str, faults: Faults) -> None:
    """Record that a split has no labels."""
    faults.add(
        "data.labels_hidden",
        "{split} has no labels: {evidence}",
        place,
        "data.leave_out=[{split}] holds examples out of the training data in its place",
        split=split,
        evidence=evidence,
    )


def may_be_missing(label: str) -> bool:
    """Whether a label may say that there is none."""
    return label.casefold() in WORDS or label == _UNLABELLED


def _word(cell: object) -> str:
    """A cell as it is compared: `-1`, `-1.0` and ` -1 ` are one word."""
    word = "" if is_missing(cell) else str(cell).strip().casefold()
    return _UNLABELLED if word == "-1.0" else word


def _is_hidden(words: Sequence[str], split: str, config: DataConfig) -> bool:
    """Whether a split for testing has but one label, which stands for none."""
    asked = config.missing is None or words[0] in map(_word, config.missing)
    only = len(set(words)) == 1 and (not words[0] or may_be_missing(words[0]))
    return split in ("validation", "test") and only and asked


def _ask(
    words: Sequence[str], role: str, records: Records, facts: DataFacts, faults: Faults
) -> None:
    counts = Counter(words)
    doubtful = [word for word in counts if word in WORDS]
    if _UNLABELLED in counts and not _is_one_of_a_scale(counts):
        doubtful.append(_UNLABELLED)
    elif _UNLABELLED in counts and {"0", "0.0"} & set(counts):
        facts.readings.append(_taken_as_label(records, counts[_UNLABELLED]))
    for word in doubtful:
        faults.add(
            "data.missing_unclear",
            "'{word}' may be a {role}, or say that there is none: {number:,} rows",
            records.place(words.index(word)),
            "data.missing=[{asked}] leaves such rows out, data.missing=[] takes it as a {role}",
            word=word,
            role=role,
            number=counts[word],
            asked=",".join(doubtful),
        )


def _is_one_of_a_scale(counts: Counter[str]) -> bool:
    """Whether -1 is a number among others: beside further negative ones, 1 alone, or 0 and 1."""
    others = {word.removesuffix(".0") for word in counts} - {_UNLABELLED, ""}
    is_common = counts[_UNLABELLED] >= _RARE * counts.total()
    is_negative_too = any(word.startswith("-") for word in others)
    return is_negative_too or others == {"1"} or (others == {"0", "1"} and is_common)


def _taken_as_label(records: Records, number: int) -> Reading:
    said = message(
        "data.missing_as_label",
        "{source}: '-1' is read as a label, for it is as common as others ({number:,} rows); "
        "data.missing=[-1] leaves such rows out.",
        source=records.source,
        number=number,
    )
    return read_as(MISSING, "label", said)
